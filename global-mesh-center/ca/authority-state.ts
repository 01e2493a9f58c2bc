/**
 * What a made authority is, as data, and the steps of its life: an intermediate that is renewed at half its life, and a
 * root that is changed with overlap. No clock, no disk.
 *
 * A rotation: the new root joins the bundle (`spreading`, nothing is signed below it yet); when every host must have
 * read the bundle it signs (`overlapping`, leaves of both roots are about); when the last leaf of the old one has
 * ended, the old one leaves the bundle.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import * as z from 'zod'
import { MeshError } from '../../contracts/errors.ts'
import { spiffeScheme } from '../../contracts/spiffe-id.ts'
import { backdateMs } from './authority.ts'
import type { KeyBox } from './key-box.ts'
import { makeAuthority, signerOf, type Signer } from './x509/certificate.ts'
import { certificateOf } from './x509/pem.ts'

const keyed = z.strictObject({ certificate: z.string(), key: z.string(), notAfter: z.number() })

const stateSchema = z.strictObject({
  format: z.literal(1),
  trustDomain: z.string(),
  /** Of all that are in the bundle; the last one is the newest. */
  roots: z.array(keyed).min(1).max(2),
  /** Below `roots[0]`, or below `roots[1]` when a rotation has switched. */
  intermediate: keyed,
  intermediateSince: z.number(),
  rotation: z.strictObject({ startedAt: z.number(), switchedAt: z.number().optional() }).optional(),
})

export type AuthorityState = z.output<typeof stateSchema>
export type Keyed = z.output<typeof keyed>

export interface Lifetimes {
  readonly rootMs: number
  readonly intermediateMs: number
  /** A new root is in the bundle for so long before it signs. */
  readonly spreadMs: number
  /** An old root stays in the bundle for so long after the new one began to sign: no certificate may live longer. */
  readonly overlapMs: number
}

/** A root and an intermediate below it, keys included. */
export function newState(trustDomain: string, now: number, lifetimes: Lifetimes): AuthorityState {
  const root = newRoot(trustDomain, now, lifetimes)
  return {
    format: 1,
    trustDomain,
    roots: [root],
    intermediate: newIntermediate(trustDomain, root, now, lifetimes),
    intermediateSince: now,
  }
}

/** Adds a root. Throws E_CA_REFUSED while a rotation is under way. */
export function beginRotation(state: AuthorityState, now: number, lifetimes: Lifetimes): AuthorityState {
  if (state.rotation !== undefined)
    throw new MeshError('E_CA_REFUSED', 'a rotation of the root is under way; wait for its end')
  const roots = [...state.roots, newRoot(state.trustDomain, now, lifetimes)]
  return { ...state, roots, rotation: { startedAt: now } }
}

/** The next state when something is due, else the same object. */
export function nextState(state: AuthorityState, now: number, lifetimes: Lifetimes): AuthorityState {
  const { rotation, roots, trustDomain } = state
  if (rotation !== undefined && rotation.switchedAt === undefined && now >= rotation.startedAt + lifetimes.spreadMs)
    return {
      ...state,
      intermediate: newIntermediate(trustDomain, roots.at(-1)!, now, lifetimes),
      intermediateSince: now,
      rotation: { ...rotation, switchedAt: now },
    }
  if (rotation?.switchedAt !== undefined && now >= rotation.switchedAt + lifetimes.overlapMs) {
    const { rotation: _ended, ...rest } = state
    return { ...rest, roots: [roots.at(-1)!] }
  }
  const half = state.intermediateSince + (state.intermediate.notAfter - state.intermediateSince) / 2
  if (now >= half && issuingRoot(state).notAfter > state.intermediate.notAfter)
    return {
      ...state,
      intermediate: newIntermediate(trustDomain, issuingRoot(state), now, lifetimes),
      intermediateSince: now,
    }
  return state
}

/** The root below which the intermediate is. */
export function issuingRoot({ roots, rotation }: AuthorityState): Keyed {
  return rotation?.switchedAt === undefined ? roots[0]! : roots.at(-1)!
}

function keyOf(keyed: Keyed): KeyObject {
  return createPrivateKey(keyed.key)
}

export function signerFor(keyed: Keyed): Signer {
  return signerOf(certificateOf(keyed.certificate), keyOf(keyed))
}

/** As a document: everything but the keys can be read in it. */
export function writeState(state: AuthorityState, box: KeyBox): string {
  const sealed = (one: Keyed): Keyed => ({ ...one, key: box.seal(one.key) })
  const body = { ...state, roots: state.roots.map(sealed), intermediate: sealed(state.intermediate) }
  return `${JSON.stringify(body, undefined, 1)}\n`
}

/** Throws E_CONFIG_INVALID for a document that is none, of another trust domain, or that the box does not open. */
export function readState(text: string, box: KeyBox, trustDomain: string): AuthorityState {
  const parsed = stateSchema.safeParse(json(text))
  if (!parsed.success)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `the stored authority is damaged (${parsed.error.issues[0]?.path.join('.') ?? 'no JSON'}); restore it from a backup: without its keys every host must join again`,
    )
  const state = parsed.data
  if (state.trustDomain !== trustDomain)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `ca.trustDomain: found ${trustDomain}, the stored authority is of ${state.trustDomain}; a trust domain is not changed in place`,
    )
  const opened = (one: Keyed): Keyed => ({ ...one, key: box.open(one.key) })
  return { ...state, roots: state.roots.map(opened), intermediate: opened(state.intermediate) }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function newKey(): { publicKey: KeyObject; privateKey: KeyObject; pem: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { publicKey, privateKey, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
}

function newRoot(trustDomain: string, now: number, { rootMs }: Lifetimes): Keyed {
  const { publicKey, privateKey, pem } = newKey()
  const made = makeAuthority(
    {
      publicKey,
      commonName: `root of ${trustDomain}, ${new Date(now).toISOString()}`,
      depth: 1,
      uris: [],
      notBefore: now - backdateMs(rootMs),
      notAfter: now + rootMs,
    },
    { key: privateKey },
  )
  return { certificate: made.pem, key: pem, notAfter: made.notAfter }
}

function newIntermediate(trustDomain: string, root: Keyed, now: number, { intermediateMs }: Lifetimes): Keyed {
  const { publicKey, pem } = newKey()
  const made = makeAuthority(
    {
      publicKey,
      commonName: `issuer of ${trustDomain}, ${new Date(now).toISOString()}`,
      depth: 0,
      uris: [`${spiffeScheme}${trustDomain}`],
      notBefore: now - backdateMs(intermediateMs),
      notAfter: Math.min(now + intermediateMs, root.notAfter),
    },
    signerFor(root),
  )
  return { certificate: made.pem, key: pem, notAfter: made.notAfter }
}
