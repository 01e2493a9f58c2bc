/** `hostmesh ca`: the authority of a center, by the admin interface of that center. */
import { MeshError } from '../../contracts/errors.ts'
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

interface AuthorityAnswer {
  readonly trustDomain: string
  readonly authority: {
    readonly source: 'made' | 'files'
    readonly roots: readonly { readonly pin: string; readonly notAfter: number; readonly isIssuing: boolean }[]
    readonly issuerNotAfter: number
    readonly rotation?: { readonly phase: string; readonly nextStepAt: number }
  }
  readonly admission: {
    readonly tokens: readonly {
      readonly id: string
      readonly host: string
      readonly state: string
      readonly expiresAt: number
    }[]
    readonly hosts: readonly {
      readonly host: string
      readonly joinedAt: number
      readonly identities: readonly string[]
    }[]
    readonly denied: readonly {
      readonly kind: string
      readonly value: string
      readonly reason: string
      readonly at: number
    }[]
  }
}

export async function showAuthority({ admin, output }: CommandContext): Promise<ExitCode> {
  const found = (await adminJson(admin, '/ca')) as AuthorityAnswer
  if (output.isJson) {
    output.json(found)
    return exitCodes.ok
  }
  const { trustDomain, authority, admission } = found
  output.line(`trust domain ${trustDomain}, ${authority.source === 'made' ? 'of this center' : 'from files'}`)
  output.table(
    ['root', 'signs', 'ends'],
    authority.roots.map(({ pin, notAfter, isIssuing }) => [pin, isIssuing ? 'yes' : 'no', time(notAfter)]),
  )
  if (authority.rotation !== undefined)
    output.line(`rotation: ${authority.rotation.phase}, next step ${time(authority.rotation.nextStepAt)}`)
  output.table(
    ['host', 'joined', 'may be'],
    admission.hosts.map(({ host, joinedAt, identities }) => [host, time(joinedAt), identities.join(', ') || '-']),
  )
  output.table(
    ['token', 'host', 'state', 'ends'],
    admission.tokens.map(({ id, host, state, expiresAt }) => [id, host, state, time(expiresAt)]),
  )
  output.table(
    ['denied', 'value', 'reason', 'since'],
    admission.denied.map(({ kind, value, reason, at }) => [kind, value, reason, time(at)]),
  )
  return exitCodes.ok
}

export async function makeToken(
  { admin, output }: CommandContext,
  wishes: { host: string; identity: readonly string[]; ttl: number; reusable?: boolean },
): Promise<ExitCode> {
  const { host, identity, ttl, reusable } = wishes
  const body = { host, identities: identity, lifetimeMs: ttl, isReusable: reusable === true }
  const made = (await changed(admin, '/ca/tokens', body)) as { token: string; pin: string; expiresAt: number }
  if (output.isJson) output.json(made)
  else output.line(made.token)
  return exitCodes.ok
}

export async function rotateRoot({ admin, output }: CommandContext): Promise<ExitCode> {
  const { rotation } = (await changed(admin, '/ca/rotate', undefined)) as AuthorityAnswer['authority']
  if (output.isJson) output.json(rotation)
  else output.line(`the new root is in the bundle; it signs from ${time(rotation?.nextStepAt ?? 0)} on`)
  return exitCodes.ok
}

export async function changeDenial(
  { admin, output }: CommandContext,
  name: 'deny' | 'allow',
  words: { host?: string; identity?: string; serial?: string; reason: string },
): Promise<ExitCode> {
  const { host, identity, serial, reason } = words
  const given = Object.entries({ host, identity, serial }).filter(([, value]) => value !== undefined)
  const [only] = given
  if (only === undefined || given.length > 1)
    throw new MeshError('E_ADMIN_REQUEST', `found ${given.length} of --host, --identity, --serial, allowed is one`)
  const [kind, value] = only
  const path = name === 'deny' ? '/ca/denials' : '/ca/allow'
  const { denied, named = value } = (await changed(admin, path, { kind, value, reason })) as {
    readonly denied: readonly unknown[]
    /** Absent: a center of an earlier version. */
    readonly named?: string
  }
  if (output.isJson) output.json(denied)
  else
    output.line(`${kind} ${named}: ${name === 'deny' ? 'gets no certificates any more' : 'may get certificates again'}`)
  return exitCodes.ok
}

async function changed(admin: CommandContext['admin'], path: string, body: object | undefined): Promise<unknown> {
  const reply = await admin.post(path, body)
  if (reply.status !== 200)
    throw new MeshError(
      reply.status === 400 ? 'E_CA_REFUSED' : 'E_ADMIN_REQUEST',
      `${admin.where}${path}: ${reply.text.trim()}`,
    )
  return JSON.parse(reply.text) as unknown
}

function time(ms: number): string {
  return new Date(ms).toISOString()
}
