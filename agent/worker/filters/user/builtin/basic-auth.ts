/**
 * Basic authentication (RFC 7617) by a file of passwords, which is read again when it changed. The password does not go
 * to the application, nor does a name that the caller wrote itself.
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { BasicAuthSettings } from '../../../../../contracts/builtin-filters.ts'
import { quotaKey } from '../../../../../contracts/quota-key.ts'
import type { FilterAnswer, FilterRequest, MakeFilter, UserFilter } from '../../../../../contracts/user-filter.ts'
import { SecretFile } from '../../../../../native/secret-file.ts'
import { isPassword, parseHtpasswd } from './htpasswd.ts'
import type { Hash } from './htpasswd.ts'
import { PasswordTurns } from './password-turns.ts'

const maxFileBytes = 8_388_608
/** Pairs that were good, by a keyed hash; the oldest falls out. */
const maxKnown = 1000
const maxCredentials = 4096
const comeAgain: FilterAnswer = { status: 503, headers: { 'retry-after': '1' }, body: 'too many passwords\n' }

export const basicAuth: MakeFilter = (settings) => new BasicAuth(settings as unknown as BasicAuthSettings)

class BasicAuth implements UserFilter {
  private readonly userHeader: string | undefined
  private readonly file: SecretFile<ReadonlyMap<string, Hash>>
  private readonly refused: FilterAnswer
  private readonly key = randomBytes(32)
  /** Of the file as it was read. */
  private users: ReadonlyMap<string, Hash> | undefined
  private known = new Set<string>()
  private readonly turns = new PasswordTurns(() => performance.now())

  constructor({ file, realm, userHeader }: BasicAuthSettings) {
    this.userHeader = userHeader
    this.file = new SecretFile(file, parseHtpasswd, () => performance.now(), maxFileBytes)
    this.refused = {
      status: 401,
      headers: { 'www-authenticate': `Basic realm="${realm}", charset="UTF-8"` },
      body: 'authentication is needed\n',
    }
    if (this.file.get() === undefined) throw new Error(this.file.problem)
  }

  onRequestHead(request: FilterRequest): FilterAnswer | undefined | Promise<FilterAnswer | undefined> {
    const users = this.file.get()
    if (users === undefined) throw new Error(this.file.problem)
    if (users !== this.users) {
      this.users = users
      this.known = new Set()
    }
    const given = credentialsOf(request.header('authorization'))
    if (given === undefined) return this.refused
    const [user, password] = given
    const proof = createHmac('sha256', this.key).update(`${user}:${password}`).digest('base64')
    if (this.known.has(proof)) return this.allow(request, user)
    return this.check(request, user, password, proof, users)
  }

  private async check(
    request: FilterRequest,
    user: string,
    password: string,
    proof: string,
    users: ReadonlyMap<string, Hash>,
  ): Promise<FilterAnswer | undefined> {
    const hash = users.get(user)
    const compared = hash ?? slowest(users)
    if (compared === undefined) return this.refused
    const caller = request.sourceApplication ?? quotaKey(request.sourceAddress)
    const isGood = await this.turns.take(caller, () => isPassword(compared, password))
    if (isGood === undefined) return comeAgain
    if (!isGood || hash === undefined) return this.refused
    if (this.known.size >= maxKnown) this.known.delete(this.known.values().next().value!)
    if (users === this.users) this.known.add(proof)
    return this.allow(request, user)
  }

  private allow(request: FilterRequest, user: string): undefined {
    request.removeHeader('authorization')
    if (this.userHeader !== undefined) request.setHeader(this.userHeader, user)
  }
}

/** What stands in for a name that is not there, so that it takes as long as one that is. */
function slowest(users: ReadonlyMap<string, Hash>): Hash | undefined {
  let first: Hash | undefined
  for (const hash of users.values()) {
    if (hash.kind === 'scrypt') return hash
    first ??= hash
  }
  return first
}

function credentialsOf(field: string | undefined): [user: string, password: string] | undefined {
  const word = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(field ?? '')?.[1]
  if (word === undefined || word.length > maxCredentials) return undefined
  const text = Buffer.from(word, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  // a name that cannot stand in a head names nobody
  return colon < 1 || !/^[\x21-\x7e]+$/.test(text.slice(0, colon))
    ? undefined
    : [text.slice(0, colon), text.slice(colon + 1)]
}
