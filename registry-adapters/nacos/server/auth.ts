/** Who may talk to the server: logins, access tokens, and the check of each request. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { NacosFault } from './fault.ts'

export interface AuthUser {
  readonly username: string
  readonly password: string
}

export interface AuthOptions {
  /** Undefined = anyone may do anything, and any login is accepted. */
  readonly users: readonly AuthUser[] | undefined
  /**
   * Names that are not among `users` may come in, too, as nobody: any login of theirs is accepted and proves nothing.
   */
  readonly takesStrangers?: boolean
  /** s */
  readonly tokenTtlSeconds: number
  readonly maxTokens: number
  /** Monotonic ms. */
  readonly now: () => number
}

/** What a client sent to prove who it is. */
export interface Credentials {
  readonly token: string | undefined
  readonly username: string | undefined
  readonly password: string | undefined
}

export interface LoginAnswer {
  readonly accessToken: string
  readonly tokenTtl: number
  readonly globalAdmin: boolean
  readonly username: string
}

function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}

export class Auth {
  private readonly options: AuthOptions
  /** Oldest first. */
  private readonly tokens = new Map<string, { readonly username: string; readonly expiresAt: number }>()

  constructor(options: AuthOptions) {
    this.options = options
  }

  get isOn(): boolean {
    return this.options.users !== undefined
  }

  /** Throws a `denied` fault for a wrong name or password. */
  login(username: string | undefined, password: string | undefined): LoginAnswer {
    const { tokenTtlSeconds, maxTokens, now } = this.options
    if (username === undefined) throw new NacosFault('parameter-missing', "Parameter 'username' is missing")
    const answer = { tokenTtl: tokenTtlSeconds, globalAdmin: true, username }
    if (!this.isOn || this.isStranger(username)) return { ...answer, accessToken: 'AUTH_DISABLED' }
    this.checkPassword(username, password)
    const accessToken = randomBytes(32).toString('hex')
    for (const [token, { expiresAt }] of this.tokens) {
      if (expiresAt > now() && this.tokens.size < maxTokens) break
      this.tokens.delete(token)
    }
    this.tokens.set(accessToken, { username, expiresAt: now() + tokenTtlSeconds * 1000 })
    return { ...answer, accessToken }
  }

  /** The name that is proved; undefined = none is, and none is asked for. Throws a `denied` fault in Nacos's words. */
  check(credentials: Credentials): string | undefined {
    if (!this.isOn) return undefined
    const { token, username, password } = credentials
    if (token !== undefined && token !== '') {
      const known = this.tokens.get(token)
      if (known !== undefined && known.expiresAt > this.options.now()) return known.username
      this.tokens.delete(token)
      // also a token of an earlier process: as nobody the client may still do what everybody may
      if (this.options.takesStrangers === true) return undefined
      throw new NacosFault('denied', known === undefined ? 'token invalid!' : 'token expired!')
    }
    if (this.isStranger(username)) return undefined
    this.checkPassword(username, password)
    return username
  }

  private isStranger(username: string | undefined): boolean {
    const { takesStrangers, users } = this.options
    return takesStrangers === true && !(users ?? []).some((user) => user.username === username)
  }

  private checkPassword(username: string | undefined, password: string | undefined): void {
    const isRight = (this.options.users ?? []).some(
      (user) => user.username === username && isSame(user.password, password ?? ''),
    )
    if (!isRight) throw new NacosFault('denied', 'user not found!')
  }
}
