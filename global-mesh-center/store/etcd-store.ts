/** A store in etcd: keys below a prefix, its own revisions, transactions and watch. */
import { MeshError, describeError } from '../../contracts/errors.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { EtcdApi } from '../../registry-adapters/etcd/etcd-api.ts'
import { HttpClient, type HttpServer, type TlsTexts } from '../../registry-adapters/http/http-client.ts'
import { conflict, unavailable } from '../../agent/control/store/file-store.ts'
import { LastRefusal } from '../../agent/control/store/last-refusal.ts'
import type { Store, StoreListener, StoreVersion } from '../../agent/control/store/store.ts'

export interface EtcdStoreOptions {
  readonly servers: readonly HttpServer[]
  /** `/hostmesh/center`, without a slash at its end. */
  readonly prefix: string
  readonly credentials: () => { readonly name: string; readonly password: string } | undefined
  readonly tls: () => TlsTexts | undefined
}

/** It answered, and did not change anything: no right, no room. */
const refusals: ReadonlySet<string> = new Set(['E_REGISTRY_DENIED', 'E_REGISTRY_PROTOCOL'])
const retryMs = 500
/** A store that refused a change is asked so often whether it takes one now, ms. */
const probeMs = 10_000
/** No key has it: a change that depends on it changes nothing, and is refused where others are. */
const noRevision = 2n ** 62n

export class EtcdStore implements Store {
  readonly type = 'etcd'
  private readonly prefix: string
  private readonly deps: AdapterDeps
  private readonly http: HttpClient
  private readonly api: EtcdApi
  private readonly abort = new AbortController()
  private problemNow: string | undefined = 'etcd has not answered yet'
  private readonly lastRefusal: LastRefusal
  private cancelProbe = (): void => undefined
  private running: Promise<void> = Promise.resolve()
  private endPause = (): void => undefined

  constructor({ servers, prefix, credentials, tls }: EtcdStoreOptions, deps: AdapterDeps) {
    this.prefix = `${prefix}/`
    this.deps = deps
    this.lastRefusal = new LastRefusal('store in etcd', deps.log)
    this.http = new HttpClient({
      servers,
      tls,
      clock: deps.clock,
      random: deps.random,
      headers: () => (this.api.token === undefined ? {} : { authorization: this.api.token }),
    })
    this.api = new EtcdApi(this.http, credentials)
  }

  watch(listener: StoreListener): void {
    this.running = this.run(listener)
  }

  async write(key: string, value: string | undefined, expected: number): Promise<number> {
    const path = this.prefix + key
    let revision: bigint | undefined
    let present: bigint | undefined
    try {
      revision = await this.change(path, value, BigInt(expected))
      if (revision === undefined) present = (await this.api.get(path, 0n, this.abort.signal))?.revision ?? 0n
    } catch (error) {
      throw unavailable(`etcd: ${describeError(error)}`)
    }
    if (revision === undefined) throw conflict(key, expected, Number(present))
    return Number(revision)
  }

  async history(key: string, limit: number): Promise<readonly StoreVersion[]> {
    const found: StoreVersion[] = []
    try {
      let version = await this.api.get(this.prefix + key, 0n, this.abort.signal)
      while (version !== undefined && found.length < limit) {
        found.push({ key, value: version.value, revision: Number(version.revision), at: undefined })
        version = await this.api.get(this.prefix + key, version.revision - 1n, this.abort.signal)
      }
    } catch (error) {
      // older ones are compacted: the history goes back so far
      if (!(error instanceof MeshError && error.code === 'E_REGISTRY_STALE'))
        throw unavailable(`etcd: ${describeError(error)}`)
    }
    return found
  }

  problem(): string | undefined {
    return this.problemNow ?? this.lastRefusal.problem
  }

  async close(): Promise<void> {
    this.abort.abort()
    this.cancelProbe()
    this.endPause()
    await this.running
    this.http.close()
  }

  private async change(path: string, value: string | undefined, expected: bigint): Promise<bigint | undefined> {
    try {
      const revision = await this.api.compareAndSet(path, value, expected, this.abort.signal)
      this.lastRefusal.taken()
      return revision
    } catch (error) {
      // one that cannot be reached is no refusal, and its watch ends, too
      if (error instanceof MeshError && refusals.has(error.code)) {
        this.lastRefusal.refused(error.message)
        this.cancelProbe()
        this.cancelProbe = this.deps.clock.after(probeMs, () => {
          void this.change(`${this.prefix}probe`, '', noRevision).catch(() => undefined)
        })
      }
      throw error
    }
  }

  private async run(listener: StoreListener): Promise<void> {
    const { signal } = this.abort
    while (!signal.aborted) {
      try {
        const { revision, kvs } = await this.api.list(this.prefix, signal)
        const entries = kvs.map(({ key, value, revision: at }) => ({
          key: this.keyOf(key),
          value,
          revision: Number(at),
        }))
        listener.onState({ revision: Number(revision), entries })
        this.problemNow = undefined
        await this.api.watch(this.prefix, revision + 1n, signal, ({ events }) => {
          const changes = events.map(({ key, value, isRemoval, revision: at }) => ({
            key: this.keyOf(key),
            value: isRemoval ? undefined : value,
            revision: Number(at),
          }))
          if (changes.length > 0) listener.onChanges(changes)
        })
      } catch (error) {
        if (signal.aborted) return
        const reason = `store in etcd: ${describeError(error)}`
        if (this.problemNow !== reason)
          this.deps.log.error({ code: 'E_STORE_UNAVAILABLE' }, `${reason}; the rules in force stay`)
        this.problemNow = reason
      }
      if (!signal.aborted) await this.pause()
    }
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.deps.clock.after(retryMs, resolve)
      this.endPause = () => {
        cancel()
        resolve()
      }
    })
  }

  private keyOf(path: string): string {
    return path.slice(this.prefix.length)
  }
}
