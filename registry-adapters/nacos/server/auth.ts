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
  /** s */
  readonly tokenTtlSeconds: number
  readonly maxTokens: number
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
  readonly #options: AuthOptions
  /** Token to expiry, oldest first. */
  readonly #tokens = new Map<string, number>()

  constructor(options: AuthOptions) {
    this.#options = options
  }

  get isOn(): boolean {
    return this.#options.users !== undefined
  }

  /** Throws a `denied` fault for a wrong name or password. */
  login(username: string | undefined, password: string | undefined): LoginAnswer {
    const { tokenTtlSeconds, maxTokens, now } = this.#options
    if (username === undefined) throw new NacosFault('parameter-missing', "Parameter 'username' is missing")
    const answer = { tokenTtl: tokenTtlSeconds, globalAdmin: true, username }
    if (!this.isOn) return { ...answer, accessToken: 'AUTH_DISABLED' }
    this.#checkPassword(username, password)
    const accessToken = randomBytes(32).toString('hex')
    for (const [token, expiresAt] of this.#tokens) {
      if (expiresAt > now() && this.#tokens.size < maxTokens) break
      this.#tokens.delete(token)
    }
    this.#tokens.set(accessToken, now() + tokenTtlSeconds * 1000)
    return { ...answer, accessToken }
  }

  /** Throws a `denied` fault in Nacos's words. */
  check(credentials: Credentials): void {
    if (!this.isOn) return
    if (credentials.token !== undefined && credentials.token !== '') {
      const expiresAt = this.#tokens.get(credentials.token)
      if (expiresAt === undefined) throw new NacosFault('denied', 'token invalid!')
      if (expiresAt <= this.#options.now()) {
        this.#tokens.delete(credentials.token)
        throw new NacosFault('denied', 'token expired!')
      }
      return
    }
    this.#checkPassword(credentials.username, credentials.password)
  }

  #checkPassword(username: string | undefined, password: string | undefined): void {
    const isRight = (this.#options.users ?? []).some(
      (user) => user.username === username && isSame(user.password, password ?? ''),
    )
    if (!isRight) throw new NacosFault('denied', 'user not found!')
  }
}
