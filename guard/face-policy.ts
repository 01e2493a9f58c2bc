/**
 * What local users may do through a face of the agent (`nacosFace`, `sofaFace`). Documents that hold rules, and names
 * of our own, are nobody's. Root and the agent's own user may do the rest; everybody else what is theirs or what the
 * operator grants. Pure: it is asked, and answers why not.
 */
import type { ServiceKey } from '../contracts/endpoint.ts'
import { namePattern } from '../contracts/name-pattern.ts'
import { callerName, type Caller, type Holder } from './caller.ts'

/** A document of configuration. */
export interface DocumentName {
  readonly group: string
  readonly dataId: string
}

export interface FaceGrant {
  /** To whom: a user of this host, or whoever logs in by this name. */
  readonly to: { readonly uid: number } | { readonly login: string }
  /** `group/dataId`; `*` stands for any characters. */
  readonly documents: readonly string[]
  /** Documents may be written, too. */
  readonly writes: boolean
  /** Reserved: nobody else on this host may register them. */
  readonly services: readonly ServiceKey[]
  readonly maxWeight: number
  /** Ports that may be announced although they are below 1024 or another user listens there; first to last. */
  readonly ports: readonly { readonly first: number; readonly last: number }[]
}

export interface FacePolicy {
  readonly trusted: ReadonlySet<number>
  readonly reads: 'granted' | 'any'
  readonly writes: 'off' | 'granted'
  readonly grants: readonly FaceGrant[]
  /** Groups of rule documents. */
  readonly rulesGroups: readonly string[]
}

/** Names of our own documents and services begin so. Servers may compare without case. */
const ownNames = /^hostmesh\./i
const ordinaryWeight = 1
const firstUnprivilegedPort = 1024

/** `owned`: names of the services that are the caller's by `services.d`. */
export function readProblem(
  policy: FacePolicy,
  caller: Caller,
  key: DocumentName,
  owned: readonly string[],
): string | undefined {
  const never = ownProblem(policy, key)
  if (never !== undefined) return never
  if (policy.reads === 'any' || isTrusted(policy, caller)) return undefined
  if (owned.some((name) => key.dataId === name || key.dataId.startsWith(`${name}.`))) return undefined
  if (grantsOf(policy, caller).some((grant) => grant.documents.some((pattern) => isLike(pattern, key))))
    return undefined
  return `${key.group}/${key.dataId}: not for ${callerName(caller)}; nacosFace.grants says who may read it`
}

export function writeProblem(policy: FacePolicy, caller: Caller, key: DocumentName): string | undefined {
  const never = ownProblem(policy, key)
  if (never !== undefined) return never
  if (policy.writes === 'off') return 'documents are not written through this agent; nacosFace.configWrites allows it'
  if (isTrusted(policy, caller)) return undefined
  const mayWrite = grantsOf(policy, caller).some(
    (grant) => grant.writes && grant.documents.some((pattern) => isLike(pattern, key)),
  )
  return mayWrite
    ? undefined
    : `${key.group}/${key.dataId}: ${callerName(caller)} may not write it; nacosFace.grants says who may`
}

/** A registration, as far as policy looks at it. */
export interface Announcement {
  readonly service: ServiceKey
  readonly name: string
  readonly group: string
  readonly port: number
  readonly weight: number
  /** Who listens at the port; undefined = nobody yet. */
  readonly listener: number | undefined
  /**
   * Users that have the service on this host already, by file or by registration, in any spelling; undefined =
   * registered by somebody unknown.
   */
  readonly holders: readonly (number | undefined)[]
}

export function announceProblem(policy: FacePolicy, caller: Caller, wanted: Announcement): string | undefined {
  if (ownNames.test(wanted.name) || ownNames.test(wanted.group)) return `${wanted.service}: a name of the agent itself`
  if (caller.uid === undefined) return 'the user of this connection is not known'
  if (isTrusted(policy, caller)) return undefined
  const grants = grantsOf(policy, caller)
  const isGranted = grants.some((grant) => hasService(grant, wanted.service))
  const isReserved = policy.grants.some((grant) => hasService(grant, wanted.service))
  const isHeld = wanted.holders.some((uid) => uid !== caller.uid)
  if (!isGranted && (isReserved || isHeld))
    return `${wanted.service}: belongs to another user than ${callerName(caller)}; nacosFace.grants[].services says whose it is`
  const maxWeight = Math.max(ordinaryWeight, ...grants.map((grant) => grant.maxWeight))
  if (wanted.weight > maxWeight)
    return `weight ${wanted.weight}: ${callerName(caller)} may announce at most ${maxWeight}; nacosFace.grants[].maxWeight allows more`
  if (isGrantedPort(grants, wanted.port) || wanted.port === 0) return undefined
  if (wanted.port < firstUnprivilegedPort)
    return `port ${wanted.port}: below ${firstUnprivilegedPort}, not for ${callerName(caller)}; nacosFace.grants[].ports allows it`
  if (wanted.listener !== undefined && wanted.listener !== caller.uid)
    return `port ${wanted.port}: user ${wanted.listener} listens there, not ${callerName(caller)}; nacosFace.grants[].ports allows it`
  return undefined
}

/**
 * Who must listen at the port that this caller announces, for as long as it is announced: the caller itself, unless the
 * operator's word is enough; undefined = whoever does.
 */
export function listenerOf(policy: FacePolicy, caller: Caller, port: number): number | undefined {
  return isTrusted(policy, caller) || isGrantedPort(grantsOf(policy, caller), port) ? undefined : caller.uid
}

/** Whether a registration may be changed, kept alive or taken back. */
export function touchProblem(policy: FacePolicy, caller: Caller, owner: number | undefined): string | undefined {
  if (isTrusted(policy, caller) || (caller.uid !== undefined && (owner === undefined || owner === caller.uid)))
    return undefined
  return `registered by ${callerName({ uid: owner })}, not by ${callerName(caller)}; nothing was changed`
}

/** In whose share of a bound this caller's questions count; root and the agent's own user have none. */
export function holderOf(policy: FacePolicy, caller: Caller): Holder {
  return isTrusted(policy, caller) ? undefined : callerName(caller)
}

function ownProblem(policy: FacePolicy, { group, dataId }: DocumentName): string | undefined {
  const lower = group.toLowerCase()
  const isOurs = ownNames.test(dataId) || policy.rulesGroups.some((name) => name.toLowerCase() === lower)
  return isOurs ? `${group}/${dataId}: rules and documents of the agent itself are not kept through it` : undefined
}

function isTrusted(policy: FacePolicy, { uid }: Caller): boolean {
  return uid !== undefined && policy.trusted.has(uid)
}

function isGrantedPort(grants: readonly FaceGrant[], port: number): boolean {
  return grants.some((grant) => grant.ports.some(({ first, last }) => port >= first && port <= last))
}

function grantsOf(policy: FacePolicy, { uid, login }: Caller): FaceGrant[] {
  return policy.grants.filter(({ to }) =>
    'uid' in to ? uid !== undefined && to.uid === uid : login !== undefined && to.login === login,
  )
}

/** Without case, as Host: `Orders` would take calls of `orders`. */
function hasService({ services }: FaceGrant, service: ServiceKey): boolean {
  const lower = service.toLowerCase()
  return services.some((one) => one.toLowerCase() === lower)
}

function isLike(pattern: string, { group, dataId }: DocumentName): boolean {
  return namePattern(pattern)(`${group}/${dataId}`)
}
