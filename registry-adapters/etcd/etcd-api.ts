/**
 * etcd's v3 API by its JSON gateway: the calls that the adapter needs, with log-in. Source: etcd 3.4, "gRPC gateway";
 * api/etcdserverpb/rpc.proto.
 */
import { MeshError } from '../../contracts/errors.ts'
import type { HttpClient } from '../http/http-client.ts'

export interface KeyValue {
  readonly key: string
  readonly value: string
  /** Of the last change of the key. */
  readonly revision: bigint
}

export interface Range {
  readonly revision: bigint
  readonly kvs: readonly KeyValue[]
}

export interface WatchEvent extends KeyValue {
  readonly isRemoval: boolean
}

export interface WatchWord {
  readonly events: readonly WatchEvent[]
  readonly revision: bigint
}

interface Credentials {
  readonly name: string
  readonly password: string
}

const timeoutMs = 5000
/** etcd says something every ten minutes at least, when asked to (`progress_notify`). */
const watchSilenceMs = 660_000

interface Reply {
  readonly header?: { readonly revision?: string }
  readonly kvs?: unknown
  readonly succeeded?: boolean
  readonly ID?: string
  readonly TTL?: string
  readonly result?: Reply & {
    readonly canceled?: boolean
    readonly cancel_reason?: string
    readonly TTL?: string
    readonly events?: readonly {
      readonly type?: string
      readonly kv: unknown
    }[]
  }
  readonly token?: string
  readonly error?: string | { readonly message?: string }
  readonly message?: string
}

export class EtcdApi {
  private readonly http: HttpClient
  private readonly credentials: () => Credentials | undefined
  private currentToken: string | undefined
  private loggingIn: Promise<void> | undefined

  constructor(http: HttpClient, credentials: () => Credentials | undefined) {
    this.http = http
    this.credentials = credentials
  }

  /** For the headers of the client. */
  get token(): string | undefined {
    return this.currentToken
  }

  /** Everything whose key begins so. */
  async list(prefix: string, signal?: AbortSignal): Promise<Range> {
    const reply = await this.call('kv/range', { key: base64(prefix), range_end: base64(prefixEnd(prefix)) }, signal)
    return { revision: revisionOf(reply), kvs: keyValues(reply.kvs) }
  }

  /** A key as it was at a revision, 0 = now; undefined = it was not there. Rejects E_REGISTRY_STALE: compacted. */
  async get(key: string, revision: bigint, signal?: AbortSignal): Promise<KeyValue | undefined> {
    try {
      const reply = await this.call('kv/range', { key: base64(key), revision: String(revision) }, signal)
      return keyValues(reply.kvs)[0]
    } catch (error) {
      const { code, message } = error as MeshError
      if (code !== 'E_REGISTRY_PROTOCOL' || !message.includes('compacted')) throw error
      throw new MeshError('E_REGISTRY_STALE', message)
    }
  }

  /**
   * Sets or (undefined) removes a key whose last change has the revision, 0 = it does not exist. The revision of the
   * change, or undefined when the key is another one.
   */
  async compareAndSet(
    key: string,
    value: string | undefined,
    expected: bigint,
    signal?: AbortSignal,
  ): Promise<bigint | undefined> {
    const act =
      value === undefined
        ? { request_delete_range: { key: base64(key) } }
        : { request_put: { key: base64(key), value: base64(value) } }
    const compare = { key: base64(key), target: 'MOD', result: 'EQUAL', mod_revision: String(expected) }
    const reply = await this.call('kv/txn', { compare: [compare], success: [act] }, signal)
    return reply.succeeded === true ? revisionOf(reply) : undefined
  }

  /** The leader must answer, not only this member. */
  async ping(): Promise<void> {
    await this.call('kv/range', { key: base64('\0'), limit: '1', keys_only: true })
  }

  /**
   * Calls `onWord` for every change from `revision` on, until the stream ends or fails, or `signal` ends it. Rejects
   * with E_REGISTRY_STALE when the revision was compacted.
   */
  async watch(prefix: string, revision: bigint, signal: AbortSignal, onWord: (word: WatchWord) => void): Promise<void> {
    let failure: MeshError | undefined
    const abort = new AbortController()
    const end = (): void => abort.abort()
    signal.addEventListener('abort', end)
    try {
      await this.http.stream(
        {
          method: 'POST',
          path: '/v3/watch',
          body: {
            create_request: {
              key: base64(prefix),
              range_end: base64(prefixEnd(prefix)),
              start_revision: String(revision),
              progress_notify: true,
            },
          },
          signal: abort.signal,
        },
        watchSilenceMs,
        (line) => {
          const word = readWord(line)
          if (word instanceof MeshError) {
            failure ??= word
            end()
          } else if (failure === undefined) onWord(word)
        },
      )
    } catch (error) {
      throw failure ?? error
    } finally {
      signal.removeEventListener('abort', end)
    }
    if (failure !== undefined) throw failure
  }

  async grant(ttlSeconds: number, signal?: AbortSignal): Promise<string> {
    const { ID: id } = await this.call('lease/grant', { TTL: String(ttlSeconds) }, signal)
    if (typeof id !== 'string') throw new MeshError('E_REGISTRY_PROTOCOL', 'etcd granted a lease without id')
    return id
  }

  /** False = the lease is over. */
  async keepAlive(lease: string, signal?: AbortSignal): Promise<boolean> {
    const { result } = await this.call('lease/keepalive', { ID: lease }, signal)
    return Number(result?.TTL ?? 0) > 0
  }

  async put(key: string, value: string, lease: string, signal?: AbortSignal): Promise<void> {
    await this.call('kv/put', { key: base64(key), value: base64(value), lease }, signal)
  }

  async remove(key: string, signal?: AbortSignal): Promise<void> {
    await this.call('kv/deleterange', { key: base64(key) }, signal)
  }

  private async call(method: string, body: object, signal?: AbortSignal): Promise<Reply> {
    const credentials = this.credentials()
    if (credentials === undefined) return this.post(method, body, signal)
    if (this.currentToken === undefined) await this.logIn(credentials, signal)
    const used = this.currentToken
    try {
      return await this.post(method, body, signal)
    } catch (error) {
      if ((error as MeshError).code !== 'E_REGISTRY_DENIED') throw error
    }
    // a token lives some minutes, or until users change; another call may have a new one already, or be asking for it
    if (this.currentToken === used) this.currentToken = undefined
    if (this.currentToken === undefined) await this.logIn(credentials, signal)
    return this.post(method, body, signal)
  }

  /** Once for all who wait for it: etcd makes each log-in slow on purpose. */
  private async logIn(credentials: Credentials, signal?: AbortSignal): Promise<void> {
    this.loggingIn ??= this.post('auth/authenticate', credentials)
      .then(({ token }) => void (this.currentToken = token))
      .finally(() => (this.loggingIn = undefined))
    await orAborted(this.loggingIn, signal)
  }

  private async post(method: string, body: object, signal?: AbortSignal): Promise<Reply> {
    const question = { method: 'POST', path: `/v3/${method}`, body, timeoutMs, ...(signal && { signal }) } as const
    const { status, text } = await this.http.ask(question)
    const reply = readReply(text)
    if (reply === undefined)
      throw new MeshError('E_REGISTRY_PROTOCOL', `etcd ${method}: answered ${status}, and nothing that makes sense`)
    if (status === 200) return reply
    const words = messageOf(reply).slice(0, 200)
    throw new MeshError(
      isDenial(words) ? 'E_REGISTRY_DENIED' : 'E_REGISTRY_PROTOCOL',
      `etcd ${method}: ${status} ${words}`,
    )
  }
}

/** The work goes on for others. */
function orAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const end = (): void => reject(new MeshError('E_REGISTRY_UNREACHABLE', 'etcd: the question was given up'))
    if (signal.aborted) end()
    signal.addEventListener('abort', end)
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', end))
  })
}

/** A change of any user or role ends the tokens from before it: `auth store is old`; in older releases `in header`. */
function isDenial(words: string): boolean {
  return /permission denied|invalid auth token|authentication failed|user name is empty|revision .+ is old/.test(words)
}

function messageOf({ error, message }: Reply): string {
  return String((typeof error === 'string' ? error : error?.message) ?? message ?? '')
}

function readWord(line: string): WatchWord | MeshError {
  const reply = readReply(line)
  if (reply === undefined) return new MeshError('E_REGISTRY_PROTOCOL', 'etcd watch: a line that makes no sense')
  const { result } = reply
  if (result === undefined) {
    const words = messageOf(reply).slice(0, 200)
    return new MeshError(isDenial(words) ? 'E_REGISTRY_DENIED' : 'E_REGISTRY_PROTOCOL', `etcd watch: ${words}`)
  }
  if (result.canceled === true)
    return new MeshError('E_REGISTRY_STALE', `etcd watch: ${result.cancel_reason ?? 'the revision is compacted'}`)
  const events = Array.isArray(result.events) ? result.events : []
  return {
    revision: revisionOf(result),
    events: events.flatMap((event) =>
      keyValues([event?.kv]).map((kv) => ({ isRemoval: event.type === 'DELETE', ...kv })),
    ),
  }
}

/** undefined = it is no object. */
function readReply(json: string): Reply | undefined {
  try {
    const reply = JSON.parse(json) as unknown
    return typeof reply === 'object' && reply !== null && !Array.isArray(reply) ? (reply as Reply) : undefined
  } catch {
    return undefined
  }
}

function revisionOf({ header }: Reply): bigint {
  return bigOf(header?.revision)
}

function bigOf(value: unknown): bigint {
  return typeof value === 'string' && /^\d{1,19}$/.test(value) ? BigInt(value) : 0n
}

/** Those that are pairs of texts. */
function keyValues(list: unknown): KeyValue[] {
  if (!Array.isArray(list)) return []
  const found: KeyValue[] = []
  for (const one of list as ({ key?: unknown; value?: unknown; mod_revision?: unknown } | null)[]) {
    const { key, value = '', mod_revision: revision } = one ?? {}
    if (typeof key === 'string' && typeof value === 'string')
      found.push({ key: text(key), value: text(value), revision: bigOf(revision) })
  }
  return found
}

function base64(value: string): string {
  return Buffer.from(value).toString('base64')
}

function text(value: string): string {
  return Buffer.from(value, 'base64').toString()
}

/** The first key behind all that begin so. */
function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
}
