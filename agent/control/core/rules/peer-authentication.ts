/**
 * What the inbound port of an application takes, as in Istio: a policy that selects the workload goes before one of its
 * namespace, that before one of the root namespace; UNSET inherits; of two on one level the first by `namespace/name`
 * counts. Without any, PERMISSIVE.
 */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import { groupOfKey, namespaceOfKey, placeOf } from './rule-host.ts'
import type { HostScope } from './rule-host.ts'
import type { RuleIndex } from './rule-index.ts'
import type { ResourceOf } from './rule-resource.ts'

type Policy = ResourceOf<'PeerAuthentication'>
export type MtlsMode = 'disable' | 'permissive' | 'strict'

/** A local application as policies see it. */
export interface MtlsApplication {
  readonly labels: Readonly<Record<string, string>>
  /** The application's own. */
  readonly port: number
}

const modes = { DISABLE: 'disable', PERMISSIVE: 'permissive', STRICT: 'strict', UNSET: undefined } as const

/** `key`: the service that the application is an instance of. */
export function inboundMtlsMode(
  key: ServiceKey,
  application: MtlsApplication,
  index: RuleIndex,
  scope: HostScope,
): MtlsMode {
  const policies = index.peerAuthentications.filter((policy) => isOfNamespace(policy, key, scope))
  const isRoot = ({ namespace }: Policy): boolean => namespace === scope.rootNamespace
  const selecting = policies.filter((policy) => selects(policy, application.labels))
  const own = selecting.find((policy) => !isRoot(policy)) ?? selecting[0]
  const ofNamespace = policies.find((policy) => !isRoot(policy) && !hasSelector(policy))
  const ofMesh = policies.find((policy) => isRoot(policy) && !hasSelector(policy))
  const ofPort = own?.spec.portLevelMtls?.[String(application.port)]
  const said = [ofPort, own?.spec.mtls, ofNamespace?.spec.mtls, ofMesh?.spec.mtls].map(
    (mtls) => modes[mtls?.mode ?? 'UNSET'],
  )
  return said.find((mode) => mode !== undefined) ?? 'permissive'
}

/** A namespace that stands for a group is that group; every other one has all its groups. */
function isOfNamespace({ namespace }: Policy, key: ServiceKey, scope: HostScope): boolean {
  if (namespace === scope.rootNamespace) return true
  const place = placeOf(namespace, scope)
  if (place.namespace !== namespaceOfKey(key)) return false
  return place.group === scope.group || place.group === groupOfKey(key)
}

function hasSelector({ spec }: Policy): boolean {
  return Object.keys(spec.selector?.matchLabels ?? {}).length > 0
}

function selects(policy: Policy, labels: Readonly<Record<string, string>>): boolean {
  if (!hasSelector(policy)) return false
  return Object.entries(policy.spec.selector!.matchLabels!).every(([name, value]) => labels[name] === value)
}
