/**
 * Who we are towards Nacos: nobody, a user with a token, or an access key that signs.
 *
 * The password travels in a form body to a login path only, a token in headers only; neither is ever part of a URL.
 */
import { createHmac } from 'node:crypto'
import { MeshError } from '../../../contracts/errors.ts'
import type { AdapterLog } from '../../../contracts/registry-adapter.ts'
import type { NacosCredentials } from '../config.ts'
import { excerpt, jsonOf } from '../server-list/http-client.ts'
import type { HttpClient } from '../server-list/http-client.ts'
import type { ServerList } from '../server-list/server-list.ts'
import { groupedName } from '../wire/service-name.ts'
import { httpPaths } from '../wire/http-paths.ts'

export type AuthHeaders = Readonly<Record<string, string>>

/** What a request is about: signatures cover it. */
export type AuthSubject =
  | { readonly kind: 'service'; readonly group: string; readonly name: string }
  | { readonly kind: 'document'; readonly tenant: string; readonly group: string }
  | { readonly kind: 'none' }

export interface HttpWords {
  readonly headers: AuthHeaders
  readonly parameters: AuthHeaders
}

export interface Auth {
  /** Metadata of one gRPC request. Rejects with E_REGISTRY_DENIED or as the login's transport did. */
  forGrpc(subject: AuthSubject): Promise<AuthHeaders>
  /** The same for one HTTP request. Signatures of naming requests are parameters there, as servers expect them; tokens are never. */
  forHttp(subject: AuthSubject): Promise<HttpWords>
  /** The server refused us: forget the token, so that the next request logs in again. Answers whether that can help. */
  renew(): boolean
  close(): void
}

export interface AuthDeps {
  readonly now: () => number
  readonly log: AdapterLog
  readonly http: HttpClient
  readonly servers: ServerList
}

/** After a refused login the next attempt waits this long, so that a wrong password locks no account. */
const deniedPauseMs = 15_000

const nothing: AuthHeaders = {}

export function createAuth(credentials: NacosCredentials, deps: AuthDeps): Auth {
  switch (credentials.kind) {
    case 'none':
      return {
        forGrpc: () => Promise.resolve(nothing),
        forHttp: () => Promise.resolve({ headers: nothing, parameters: nothing }),
        renew: () => false,
        close: () => undefined,
      }
    case 'access-key':
      return new SigningAuth(credentials, deps.now)
    case 'password':
      return new TokenAuth(credentials, deps)
  }
}

/** Signatures of naming and configuration requests, HMAC-SHA1 as the official client's RAM plugin makes them. */
class SigningAuth implements Auth {
  readonly #accessKey: string
  readonly #secretKey: string
  readonly #now: () => number

  constructor(credentials: { accessKey: string; secretKey: string }, now: () => number) {
    this.#accessKey = credentials.accessKey
    this.#secretKey = credentials.secretKey
    this.#now = now
  }

  forGrpc(subject: AuthSubject): Promise<AuthHeaders> {
    return Promise.resolve(this.#words(subject))
  }

  forHttp(subject: AuthSubject): Promise<HttpWords> {
    const words = this.#words(subject)
    return Promise.resolve(
      subject.kind === 'document' ? { headers: words, parameters: nothing } : { headers: nothing, parameters: words },
    )
  }

  renew(): boolean {
    return false
  }

  close(): void {
    // nothing is held
  }

  #words(subject: AuthSubject): AuthHeaders {
    const timestamp = String(Math.round(this.#now()))
    if (subject.kind === 'document') {
      const resource = [subject.tenant, subject.group].filter((part) => part !== '').join('+')
      const signed = resource === '' ? timestamp : `${resource}+${timestamp}`
      return { 'Spas-AccessKey': this.#accessKey, Timestamp: timestamp, 'Spas-Signature': this.#sign(signed) }
    }
    const data = subject.kind === 'service' ? `${timestamp}@@${groupedName(subject.group, subject.name)}` : timestamp
    return { ak: this.#accessKey, data, signature: this.#sign(data) }
  }

  #sign(data: string): string {
    return createHmac('sha1', this.#secretKey).update(data, 'utf8').digest('base64')
  }
}

interface Token {
  readonly text: string
  readonly refreshAt: number
  readonly endsAt: number
}

class TokenAuth implements Auth {
  readonly #credentials: { readonly username: string; readonly password: string }
  readonly #deps: AuthDeps
  #token: Token | undefined
  #login: Promise<Token> | undefined
  #refused: { readonly error: MeshError; readonly until: number } | undefined
  readonly #abort = new AbortController()

  constructor(credentials: { username: string; password: string }, deps: AuthDeps) {
    this.#credentials = credentials
    this.#deps = deps
  }

  async forGrpc(): Promise<AuthHeaders> {
    return { accessToken: await this.#current() }
  }

  async forHttp(): Promise<HttpWords> {
    return { headers: { authorization: `Bearer ${await this.#current()}` }, parameters: nothing }
  }

  renew(): boolean {
    this.#token = undefined
    return true
  }

  close(): void {
    this.#abort.abort()
  }

  async #current(): Promise<string> {
    const now = this.#deps.now()
    const token = this.#token
    if (token !== undefined && now < token.refreshAt) return token.text
    const login = this.#logIn()
    if (token !== undefined && now < token.endsAt) {
      // a token that is old but good serves until the new one is there
      login.catch(() => undefined)
      return token.text
    }
    return (await login).text
  }

  #logIn(): Promise<Token> {
    if (this.#refused !== undefined) {
      if (this.#deps.now() < this.#refused.until) return Promise.reject(this.#refused.error)
      this.#refused = undefined
    }
    this.#login ??= this.#askAll().finally(() => {
      this.#login = undefined
    })
    return this.#login
  }

  async #askAll(): Promise<Token> {
    let last: MeshError | undefined
    for (const server of this.#deps.servers.inRandomOrder()) {
      for (const path of [httpPaths.v3.login, httpPaths.v1.loginUsers, httpPaths.v1.login]) {
        try {
          const answer = await this.#deps.http.ask(server, {
            method: 'POST',
            path,
            parameters: { username: this.#credentials.username, password: this.#credentials.password },
            signal: this.#abort.signal,
          })
          if ([404, 405, 410, 501].includes(answer.status)) continue
          const body = jsonOf(answer)
          const data = (body?.['data'] ?? body) as Readonly<Record<string, unknown>> | null | undefined
          const text = data?.['accessToken']
          if (answer.status === 200 && typeof text === 'string' && text !== '') {
            const seconds = Number(data?.['tokenTtl'])
            const lifeMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 18_000_000
            const now = this.#deps.now()
            this.#token = { text, refreshAt: now + lifeMs * 0.8, endsAt: now + lifeMs }
            return this.#token
          }
          last = new MeshError(
            [400, 401, 403, 500].includes(answer.status) ? 'E_REGISTRY_DENIED' : 'E_REGISTRY_PROTOCOL',
            `nacos at ${server.id}: login of user "${this.#credentials.username}" was answered with ${answer.status} ${excerpt(answer.text)}; check user and password`,
          )
        } catch (error) {
          last = error as MeshError
        }
        break
      }
      if (last?.code === 'E_REGISTRY_DENIED') {
        this.#refused = { error: last, until: this.#deps.now() + deniedPauseMs }
        this.#deps.log.error({ code: last.code }, last.message)
        throw last
      }
    }
    throw last ?? new MeshError('E_REGISTRY_UNREACHABLE', 'nacos: no server is known to log in at')
  }
}
