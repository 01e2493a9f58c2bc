/** Who may use the API: bearer tokens and names in certificates, in a file, with users, roles and maybe namespaces. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { parse } from 'yaml'
import * as z from 'zod'
import type { ApiUser } from '../../agent/control/rules-api/api-user.ts'
import { isIdentity } from '../ca/grants.ts'
import { SecretFile } from '../../native/secret-file.ts'

interface Login {
  /** Of the token; undefined = it is known by its certificate. */
  readonly digest: Buffer | undefined
  /** Common name of its certificate. */
  readonly certificate: string | undefined
  readonly user: ApiUser
}

const fileShape = z
  .array(
    z
      .strictObject({
        user: z.string().min(1).max(128),
        token: z
          .string()
          .min(32)
          .max(1024)
          .regex(/^[\x21-\x7e]+$/)
          .optional(),
        certificate: z.string().min(1).max(253).optional(),
        role: z.enum(['read', 'write', 'admin', 'host']),
        namespaces: z.array(z.string().min(1).max(253)).min(1).max(1000).optional(),
        identity: z.string().max(600).optional(),
      })
      .refine(({ token, certificate }) => (token === undefined) !== (certificate === undefined), {
        message: 'allowed either token or certificate',
      })
      .refine(({ certificate, identity }) => certificate === undefined || identity === undefined, {
        message: 'only beside a token',
        path: ['identity'],
      })
      .refine(({ role, namespaces }) => namespaces === undefined || role === 'read' || role === 'write', {
        message: 'only for the roles read and write',
        path: ['namespaces'],
      })
      .refine(({ role, identity }) => identity === undefined || (role === 'read' && isIdentity(identity)), {
        message: 'allowed ns/NAMESPACE/sa/ACCOUNT, for the role read',
        path: ['identity'],
      }),
  )
  .min(1)
  .max(1000)

/** Longest file. */
const maxBytes = 256 * 1024

/** Throws what is wrong, by place, never a value of the file. */
export function readLogins(text: string): Login[] {
  let value: unknown
  try {
    value = parse(text)
  } catch {
    throw new Error('broken YAML')
  }
  const result = fileShape.safeParse(value)
  if (!result.success) {
    const { path, code, message } = result.error.issues[0]!
    const words =
      code === 'custom'
        ? message
        : 'allowed: a list of user, token (32 to 1024 characters) or certificate, role, namespaces, identity'
    throw new Error(`[${path.join('.')}]: ${words}`)
  }
  return result.data.map(({ token, certificate, user, role, namespaces, identity }) => ({
    digest: token === undefined ? undefined : digestOf(token),
    certificate,
    user: { name: user, role, namespaces, identity },
  }))
}

export class Tokens {
  private readonly file: SecretFile<Login[]>

  /** `now`: monotonic ms. */
  constructor(path: string, now: () => number) {
    this.file = new SecretFile(path, readLogins, now, maxBytes)
  }

  /** Why nobody is let in; undefined = the file is good. */
  problem(): string | undefined {
    this.file.get()
    return this.file.problem
  }

  /** Another object each time that the file was read anew; undefined = nobody is let in. */
  get edition(): object | undefined {
    return this.file.get()
  }

  /** Each login is compared, so that the time tells nothing. */
  userOf(token: string): ApiUser | undefined {
    const digest = digestOf(token)
    let found: ApiUser | undefined
    for (const login of this.file.get() ?? [])
      if (login.digest !== undefined && timingSafeEqual(login.digest, digest)) found = login.user
    return found
  }

  /** Of a certificate that was checked, by its common name. */
  userOfCertificate(name: string): ApiUser | undefined {
    return this.file.get()?.find(({ certificate }) => certificate === name)?.user
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
