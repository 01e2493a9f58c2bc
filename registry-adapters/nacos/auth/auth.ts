/**
 * Who we are towards Nacos: nobody, a user with a token, or an access key that signs.
 *
 * The password travels in a form body to a login path only, a token in headers only; neither is ever part of a URL.
 */
import type { Clock } from '../../../contracts/clock.ts'
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
  /**
   * The same for one HTTP request. Signatures of naming requests are parameters there, as servers expect them; tokens
   * are never.
   */
  forHttp(subject: AuthSubject): Promise<HttpWords>
  /** The server refused us: forget the token, so that the next request logs in again. Answers whether that can help. */
  renew(): boolean
  /** As whom we ask, for people: never a secret. */
  readonly identity: string
  close(): void
}

export interface AuthDeps {
  readonly clock: Clock
  readonly log: AdapterLog
  readonly http: HttpClient
  readonly servers: ServerList
}

/** After a refused login the next attempt waits this long, so that a wrong password locks no account. */
const deniedPauseMs = 15_000

const nothing: AuthHeaders = {}

/** `renewed`: the credentials as they are now, the same object while they are the same; asked before every request. */
export function createAuth(
  credentials: NacosCredentials,
  deps: AuthDeps,
  renewed: () => NacosCredentials = () => credentials,
): Auth {
  switch (credentials.kind) {
    case 'none':
      return {
        forGrpc: () => Promise.resolve(nothing),
        forHttp: () => Promise.resolve({ headers: nothing, parameters: nothing }),
        renew: () => false,
        identity: 'without credentials',
        close: () => undefined,
      }
    case 'access-key':
      return new SigningAuth(
        () => sameKind(renewed(), credentials),
        () => deps.clock.wall(),
      )
    case 'password':
      return new TokenAuth(() => sameKind(renewed(), credentials), deps)
  }
}

/** Another kind of credentials takes a restart: the configuration says which. */
function sameKind<T extends NacosCredentials>(found: NacosCredentials, before: T): T {
  return found.kind === before.kind ? (found as T) : before
}

/** Signatures of naming and configuration requests, HMAC-SHA1 as the official client's RAM plugin makes them. */
class SigningAuth implements Auth {
  private readonly credentials: () => { readonly accessKey: string; readonly secretKey: string }
  private readonly now: () => number

  constructor(credentials: () => { accessKey: string; secretKey: string }, now: () => number) {
    this.credentials = credentials
    this.now = now
  }

  get identity(): string {
    return `with access key "${this.credentials().accessKey}"`
  }

  forGrpc(subject: AuthSubject): Promise<AuthHeaders> {
    return Promise.resolve(this.words(subject))
  }

  forHttp(subject: AuthSubject): Promise<HttpWords> {
    const words = this.words(subject)
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

  private words(subject: AuthSubject): AuthHeaders {
    const { accessKey, secretKey } = this.credentials()
    const sign = (data: string): string => createHmac('sha1', secretKey).update(data, 'utf8').digest('base64')
    const timestamp = String(Math.round(this.now()))
    if (subject.kind === 'document') {
      const resource = [subject.tenant, subject.group].filter((part) => part !== '').join('+')
      const signed = resource === '' ? timestamp : `${resource}+${timestamp}`
      return { 'Spas-AccessKey': accessKey, Timestamp: timestamp, 'Spas-Signature': sign(signed) }
    }
    const data = subject.kind === 'service' ? `${timestamp}@@${groupedName(subject.group, subject.name)}` : timestamp
    return { ak: accessKey, data, signature: sign(data) }
  }
}

interface Token {
  readonly text: string
  readonly refreshAt: number
  readonly endsAt: number
}

interface PasswordCredentials {
  readonly username: string
  readonly password: string
}

class TokenAuth implements Auth {
  private readonly renewed: () => PasswordCredentials
  private credentials: PasswordCredentials
  private readonly deps: AuthDeps
  private token: Token | undefined
  private login: Promise<Token> | undefined
  private refused: { readonly error: MeshError; readonly until: number } | undefined
  private readonly abort = new AbortController()

  constructor(renewed: () => PasswordCredentials, deps: AuthDeps) {
    this.renewed = renewed
    this.credentials = renewed()
    this.deps = deps
  }

  get identity(): string {
    return `as user "${this.credentials.username}"`
  }

  async forGrpc(): Promise<AuthHeaders> {
    return { accessToken: await this.current() }
  }

  async forHttp(): Promise<HttpWords> {
    return { headers: { authorization: `Bearer ${await this.current()}` }, parameters: nothing }
  }

  renew(): boolean {
    this.token = undefined
    return true
  }

  close(): void {
    this.abort.abort()
  }

  private async current(): Promise<string> {
    const credentials = this.renewed()
    if (credentials !== this.credentials) {
      // a token of the old ones may end at any moment, and a refusal of the old ones says nothing about these
      this.credentials = credentials
      this.token = undefined
      this.refused = undefined
      await this.login?.catch(() => undefined)
      this.token = undefined
    }
    const now = this.deps.clock.wall()
    const token = this.token
    if (token !== undefined && now < token.refreshAt) return token.text
    const login = this.logIn()
    if (token !== undefined && now < token.endsAt) {
      // a token that is old but good serves until the new one is there
      login.catch(() => undefined)
      return token.text
    }
    return (await login).text
  }

  private logIn(): Promise<Token> {
    if (this.refused !== undefined) {
      if (this.deps.clock.wall() < this.refused.until) return Promise.reject(this.refused.error)
      this.refused = undefined
    }
    this.login ??= this.askAll().finally(() => {
      this.login = undefined
    })
    return this.login
  }

  private async askAll(): Promise<Token> {
    let last: MeshError | undefined
    const { username, password } = this.credentials
    for (const server of this.deps.servers.inRandomOrder()) {
      for (const path of [httpPaths.v3.login, httpPaths.v1.loginUsers, httpPaths.v1.login]) {
        try {
          const answer = await this.deps.http.ask(server, {
            method: 'POST',
            path,
            parameters: { username, password },
            signal: this.abort.signal,
          })
          if ([404, 405, 410, 501].includes(answer.status)) continue
          const body = jsonOf(answer)
          const data = (body?.['data'] ?? body) as Readonly<Record<string, unknown>> | null | undefined
          const text = data?.['accessToken']
          if (answer.status === 200 && typeof text === 'string' && text !== '') {
            const seconds = Number(data?.['tokenTtl'])
            const lifeMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 18_000_000
            const now = this.deps.clock.wall()
            this.token = { text, refreshAt: now + lifeMs * 0.8, endsAt: now + lifeMs }
            return this.token
          }
          last = new MeshError(
            [400, 401, 403, 500].includes(answer.status) ? 'E_REGISTRY_DENIED' : 'E_REGISTRY_PROTOCOL',
            `nacos at ${server.id}: login of user "${username}" was answered with ${answer.status} ${excerpt(answer.text)}; check user and password`,
          )
        } catch (error) {
          last = error as MeshError
        }
        break
      }
      if (last?.code === 'E_REGISTRY_DENIED') {
        this.refused = { error: last, until: this.deps.clock.wall() + deniedPauseMs }
        this.deps.log.error({ code: last.code }, last.message)
        throw last
      }
    }
    throw last ?? new MeshError('E_REGISTRY_UNREACHABLE', 'nacos: no server is known to log in at')
  }
}
