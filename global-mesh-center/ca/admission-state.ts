/**
 * Who may come to the authority, as data: tokens to join with, hosts that joined, and what is denied. No clock, no
 * disk. Of a token only a hash is kept.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { MeshError } from '../../contracts/errors.ts'
import { parseSpiffeId } from '../../contracts/spiffe-id.ts'
import { deniedName, type DeniedKind } from './denied-name.ts'

const token = z.strictObject({
  id: z.string(),
  /** sha256 of the secret part, hex. */
  hash: z.string(),
  host: z.string(),
  identities: z.array(z.string()),
  /** May be used again by the same host until it ends. */
  isReusable: z.boolean(),
  createdAt: z.number(),
  expiresAt: z.number(),
  usedAt: z.number().optional(),
})

const host = z.strictObject({
  joinedAt: z.number(),
  /** Patterns that its token granted. */
  identities: z.array(z.string()),
})

const denial = z.strictObject({
  kind: z.enum(['host', 'identity', 'serial']),
  value: z.string(),
  reason: z.string(),
  at: z.number(),
})

const stateSchema = z.strictObject({
  format: z.literal(1),
  tokens: z.array(token),
  hosts: z.record(z.string(), host),
  denied: z.array(denial),
})

export type AdmissionState = z.output<typeof stateSchema>
export type JoinToken = z.output<typeof token>
export type Denial = z.output<typeof denial>

/** Tokens that are not used up or ended; each is a host that somebody is about to set up. */
const maxTokens = 10_000
const maxHosts = 100_000
const maxDenied = 10_000
/** A used token is remembered for so long, so that a second use is called what it is. */
const rememberedMs = 30 * 86_400_000

function emptyAdmission(): AdmissionState {
  return { format: 1, tokens: [], hosts: hostTable(), denied: [] }
}

/** Without the parts that every object has: names come from outside. */
function hostTable(hosts: AdmissionState['hosts'] = {}): AdmissionState['hosts'] {
  return Object.assign(Object.create(null) as AdmissionState['hosts'], hosts)
}

/** Denials as they are compared, also those that an earlier version kept as typed. Throws E_CONFIG_INVALID. */
export function readAdmission(text: string | undefined, trustDomain: string): AdmissionState {
  if (text === undefined) return emptyAdmission()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  const parsed = stateSchema.safeParse(value)
  if (!parsed.success)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `the stored admissions are damaged (${parsed.error.issues[0]?.path.join('.') ?? 'no JSON'}); restore them from a backup`,
    )
  const { denied, hosts } = parsed.data
  const named = denied.map((one) => ({ ...one, value: deniedName(one.kind, one.value, trustDomain) ?? one.value }))
  return { ...parsed.data, hosts: hostTable(hosts), denied: named }
}

export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** Throws E_CA_REFUSED at the bound. */
export function withToken(state: AdmissionState, made: JoinToken): AdmissionState {
  const now = made.createdAt
  const kept = state.tokens.filter((one) => Math.max(one.expiresAt, one.usedAt ?? 0) + rememberedMs > now)
  if (kept.length >= maxTokens)
    throw new MeshError(
      'E_CA_REFUSED',
      `${kept.length} tokens are remembered, allowed ${maxTokens}; wait until some end`,
    )
  return { ...state, tokens: [...kept, made] }
}

export interface PresentedToken {
  readonly id: string
  readonly secret: string
  readonly host: string
}

/**
 * The token that this host may join with. Throws E_CA_REFUSED by name: unknown, another host's, ended, used before.
 * What does not match says the same for a wrong secret and a wrong id.
 */
export function tokenOf(state: AdmissionState, presented: PresentedToken, now: number): JoinToken {
  const found = state.tokens.find(({ id }) => id === presented.id)
  const isMatch =
    found !== undefined && timingSafeEqual(Buffer.from(found.hash, 'hex'), Buffer.from(hashOf(presented.secret), 'hex'))
  if (!isMatch) throw refused(presented.id, 'no such token; make one with `hostmesh ca token`')
  if (found.host !== presented.host) throw refused(found.id, `it is for host ${found.host}, not for ${presented.host}`)
  if (found.usedAt !== undefined && !found.isReusable)
    throw refused(found.id, `it was used at ${new Date(found.usedAt).toISOString()}, and is good for once`)
  if (now >= found.expiresAt) throw refused(found.id, `it ended at ${new Date(found.expiresAt).toISOString()}`)
  if (state.hosts[found.host] === undefined && Object.keys(state.hosts).length >= maxHosts)
    throw refused(found.id, `${maxHosts} hosts have joined, which is the bound`)
  return found
}

/** The state after this host joined with the token. Throws E_CA_REFUSED as `tokenOf`. */
export function joined(state: AdmissionState, presented: PresentedToken, now: number): AdmissionState {
  const found = tokenOf(state, presented, now)
  const hosts = hostTable(state.hosts)
  hosts[found.host] = { joinedAt: now, identities: found.identities }
  return { ...state, hosts, tokens: state.tokens.map((one) => (one === found ? { ...one, usedAt: now } : one)) }
}

/** Throws E_CA_REFUSED at the bound. */
export function withDenial(state: AdmissionState, denial: Denial): AdmissionState {
  if (isDenied(state, denial.kind, denial.value) !== undefined) return state
  if (state.denied.length >= maxDenied)
    throw new MeshError('E_CA_REFUSED', `${maxDenied} entries are denied, which is the bound; take some back`)
  return { ...state, denied: [...state.denied, denial] }
}

export function withoutDenial(state: AdmissionState, kind: DeniedKind, value: string): AdmissionState {
  if (isDenied(state, kind, value) === undefined) return state
  return { ...state, denied: state.denied.filter((one) => one.kind !== kind || one.value !== value) }
}

export function isDenied(state: AdmissionState, kind: DeniedKind, value: string): Denial | undefined {
  return state.denied.find((one) => one.kind === kind && one.value === value)
}

/** Names of the hosts that are denied, as hosts or by the name in their certificate. */
export function deniedHosts({ denied }: AdmissionState): string[] {
  return denied.flatMap(({ kind, value }) => {
    if (kind === 'host') return [value]
    const id = kind === 'identity' ? parseSpiffeId(value) : undefined
    return id?.kind === 'host' ? [id.host] : []
  })
}

function refused(id: string, why: string): MeshError {
  return new MeshError('E_CA_REFUSED', `token ${/^[\w-]{1,64}$/.test(id) ? id : '(malformed)'}: ${why}`)
}
