/** Pages of a center's admin interface about its authority: `hostmesh ca` asks them. */
import * as z from 'zod'
import { jsonReply, textReply, type AdminPage, type AdminReply } from '../../agent/control/admin/http.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { Admission } from './admission.ts'
import type { Authority } from './authority.ts'
import type { CaServer } from './ca-server.ts'
import type { CaSection } from './section.ts'

export interface CaPagesView {
  readonly authority: Authority
  readonly admission: Admission
  readonly server: Pick<CaServer, 'refresh'>
  readonly section: CaSection
}

const tokenBody = z.strictObject({
  host: z.string(),
  identities: z.array(z.string()),
  isReusable: z.boolean(),
  lifetimeMs: z.number(),
})

const denialBody = z.strictObject({
  kind: z.enum(['host', 'identity', 'serial']),
  value: z.string(),
  reason: z.string().prefault('by an operator'),
})

export function caPages(view: () => CaPagesView | undefined): AdminPage[] {
  const answer = (work: (ca: CaPagesView, body: unknown) => Promise<object> | object): AdminPage['answer'] => {
    return async ({ body }): Promise<AdminReply> => {
      const ca = view()
      if (ca === undefined)
        return textReply('this center is no authority, or it is not open; see ca in center.yaml', 404)
      try {
        return jsonReply(await work(ca, body))
      } catch (error) {
        if (error instanceof MeshError && error.code === 'E_CA_REFUSED') return textReply(error.message, 400)
        throw error
      }
    }
  }
  return [
    {
      path: '/ca',
      method: 'GET',
      isOwnersOnly: true,
      help: 'the certificate authority: roots, rotation, open tokens, joined hosts, what is denied',
      answer: answer(({ authority, admission, section }) => ({
        trustDomain: section.trustDomain,
        authority: authority.view(),
        admission: admission.view(),
      })),
    },
    {
      path: '/ca/tokens',
      method: 'POST',
      help: 'makes a token for one host to join with: host, identities, isReusable, lifetimeMs; it is told once',
      answer: answer(async ({ authority, admission }, body) => {
        const pin = authority.view().roots.find((root) => root.isIssuing)!.pin
        const made = await admission.makeToken(parsed(tokenBody, body), pin)
        return { token: made.text, id: made.id, expiresAt: made.expiresAt, pin }
      }),
    },
    {
      path: '/ca/rotate',
      method: 'POST',
      help: 'begins a change of the root, with overlap',
      answer: answer(async ({ authority, server }) => {
        await authority.rotate()
        server.refresh()
        return authority.view()
      }),
    },
    {
      path: '/ca/denials',
      method: 'POST',
      help: 'denies certificates: kind host, identity or serial, value, reason',
      answer: answer(async ({ admission }, body) => {
        const { kind, value, reason } = parsed(denialBody, body)
        const named = await admission.deny(kind, value, reason)
        return { named, denied: admission.view().denied }
      }),
    },
    {
      path: '/ca/allow',
      method: 'POST',
      help: 'takes such a denial back: kind, value',
      answer: answer(async ({ admission }, body) => {
        const { kind, value } = parsed(denialBody, body)
        const named = await admission.allow(kind, value)
        return { named, denied: admission.view().denied }
      }),
    },
  ]
}

function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const found = schema.safeParse(body)
  if (found.success) return found.data
  const [issue] = found.error.issues
  throw refused(`body: ${issue?.path.join('.') || 'whole'}: ${issue?.message ?? 'not allowed'}`)
}

function refused(why: string): MeshError {
  return new MeshError('E_CA_REFUSED', why)
}
