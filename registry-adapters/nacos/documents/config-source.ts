/**
 * Configuration documents of the registry: listened to on a connection of their own, which is opened by the first who
 * needs it.
 *
 * A document that vanishes, or that is older than the one in use, is asked for again before anybody hears of it: a
 * server that comes back after an outage has been seen to deny documents that were written while it was away.
 */
import { every, type Clock } from '../../../contracts/clock.ts'
import { describeError, MeshError } from '../../../contracts/errors.ts'
import type { AdapterDeps, ConfigDocument, ConfigSource, Subscription } from '../../../contracts/registry-adapter.ts'
import type { NacosTimes } from '../config.ts'
import type { NacosSession } from '../grpc/sessions.ts'
import { clientRequests } from '../wire/messages.ts'
import type { Refusals } from '../refusals.ts'
import { md5Of } from './document-transport.ts'
import type { DocumentKey, DocumentTransport, StoredDocument } from './document-transport.ts'

export interface ConfigSourceDeps extends AdapterDeps {
  readonly registry: string
  /** Namespace id, '' for public. */
  readonly tenant: string
  readonly times: NacosTimes
  readonly session: NacosSession
  readonly overGrpc: DocumentTransport
  readonly overHttp: DocumentTransport
  /** Servers speak HTTP only, as far as is known now. */
  readonly isHttpOnly: () => boolean
  readonly onHeard: () => void
  readonly refusals: Pick<Refusals, 'refused' | 'answered' | 'forget'>
}

interface Watched {
  readonly key: DocumentKey
  readonly listeners: Set<(document: ConfigDocument | undefined) => void>
  known: StoredDocument | undefined
  isAnswered: boolean
  isAsking: boolean
  /** Asked to ask again while an answer was under way. */
  isDirty: boolean
  doubts: number
  timer: (() => void) | undefined
}

/** Contexts of one listen request. */
const listenBatch = 500
/** All documents are listened to again this often: a lost notice costs no more than that. */
const resyncMs = 60_000
/** Answers in a row that must deny or outdate a known document. */
const doubtsNeeded = 3
/** How long a written document may take until it can be read back; servers need some 100 ms. */
const readBackMs = 8000
const readBackPauseMs = 40
/** A write that the server took and that changed nothing for so long is repeated. */
const writeAgainMs = 1000

export class NacosConfigSource implements ConfigSource {
  private readonly deps: ConfigSourceDeps
  private readonly watched = new Map<string, Watched>()
  private timer: (() => void) | undefined
  private isClosed = false

  constructor(deps: ConfigSourceDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.watched.size
  }

  watch(group: string, dataId: string, listener: (document: ConfigDocument | undefined) => void): Subscription {
    this.start()
    const id = `${group}\n${dataId}`
    let watched = this.watched.get(id)
    if (watched === undefined) {
      watched = {
        key: { group, dataId },
        listeners: new Set(),
        known: undefined,
        isAnswered: false,
        isAsking: false,
        isDirty: false,
        doubts: 0,
        timer: undefined,
      }
      this.watched.set(id, watched)
      void this.ask(watched)
    }
    const own = (document: ConfigDocument | undefined): void => listener(document)
    const present = watched
    present.listeners.add(own)
    if (present.isAnswered)
      setImmediate(() => {
        if (present.listeners.has(own)) this.tell(own, present)
      })
    return {
      unsubscribe: () => {
        if (!present.listeners.delete(own) || present.listeners.size > 0) return
        present.timer?.()
        this.watched.delete(id)
        this.deps.refusals.forget('documents', nameOf(present.key))
        void this.listen([present], false)
      },
    }
  }

  async read(group: string, dataId: string, signal: AbortSignal): Promise<ConfigDocument | undefined> {
    const key = { group, dataId }
    const stored = await this.retry((transport) => transport.read(key), signal)
    return stored === undefined ? undefined : document(key, stored)
  }

  async publish(
    group: string,
    dataId: string,
    content: string,
    expectedRevision: string | undefined,
    signal: AbortSignal,
  ): Promise<ConfigDocument> {
    const key = { group, dataId }
    const name = `document ${group}/${dataId}`
    const wanted = md5Of(content)
    const before = await this.retry((transport) => transport.read(key), signal)
    const found = before?.md5 ?? ''
    if (expectedRevision !== undefined && found !== expectedRevision) throw conflict(name, expectedRevision, found)
    await this.retry((transport) => transport.publish(key, content, expectedRevision ?? ''), signal)
    // some servers answer "done" to a compare-and-set that did not write, and all of them show a write a little later
    const writtenAt = this.deps.clock.monotonic()
    let againAt = writtenAt + writeAgainMs
    for (;;) {
      const now = await this.retry((transport) => transport.read(key), signal)
      if (now?.md5 === wanted) return document(key, now)
      if (expectedRevision !== undefined && now !== undefined && now.md5 !== found)
        throw conflict(name, expectedRevision, now.md5)
      if (this.deps.clock.monotonic() > writtenAt + readBackMs)
        throw new MeshError(
          'E_REGISTRY_TIMEOUT',
          `${name}: written, but ${readBackMs} ms later the registry still shows the old content`,
        )
      if (now?.md5 === found && this.deps.clock.monotonic() > againAt) {
        againAt = this.deps.clock.monotonic() + writeAgainMs
        await this.retry((transport) => {
          // 2.3.1 compares a change over HTTP with the new content itself: it never writes, and says that it did. There
          // our own comparison of a moment ago has to do
          if (transport === this.deps.overHttp) return transport.publish(key, content, '')
          return transport.publish(key, content, expectedRevision ?? '')
        }, signal)
      }
      await pause(readBackPauseMs, this.deps.clock, signal)
    }
  }

  async remove(group: string, dataId: string, signal: AbortSignal): Promise<void> {
    await this.retry((transport) => transport.remove({ group, dataId }), signal)
  }

  /** The connection is ready: everything is asked for, because an earlier connection's listening is forgotten. */
  connected(): void {
    void this.resync(true)
  }

  /** The server says that a document changed. */
  changed(group: string, dataId: string): void {
    const watched = this.watched.get(`${group}\n${dataId}`)
    if (watched !== undefined) void this.ask(watched)
  }

  /** Asks again at once for what was never answered. */
  askFailed(): void {
    for (const watched of this.watched.values()) if (!watched.isAnswered) void this.ask(watched)
  }

  close(): void {
    this.isClosed = true
    this.timer?.()
    for (const watched of this.watched.values()) watched.timer?.()
    this.watched.clear()
  }

  private start(): void {
    if (this.timer !== undefined || this.isClosed) return
    this.deps.session.start()
    const everyMs = Math.min(resyncMs, this.deps.times.configPollMs)
    let quietMs = 0
    this.timer = every(this.deps.clock, everyMs, () => {
      quietMs += everyMs
      if (this.deps.session.connection === undefined && this.deps.isHttpOnly()) {
        for (const watched of this.watched.values()) void this.ask(watched)
      } else if (quietMs >= resyncMs) {
        quietMs = 0
        void this.resync(false)
      }
    })
  }

  private async resync(isNew: boolean): Promise<void> {
    const all = [...this.watched.values()]
    for (let at = 0; at < all.length; at += listenBatch) await this.listen(all.slice(at, at + listenBatch), true)
    if (isNew) for (const watched of all) if (!watched.isAnswered) void this.ask(watched)
  }

  /** Listens with what is known; the answer names the documents that differ. */
  private async listen(watched: readonly Watched[], listen: boolean): Promise<void> {
    if (watched.length === 0 || this.isClosed || this.deps.session.connection === undefined) return
    const { tenant } = this.deps
    const configListenContexts = watched.map(({ key, known }) => ({ ...key, tenant, md5: known?.md5 ?? '' }))
    try {
      const answer = await this.deps.session.request(
        clientRequests.configBatchListen,
        { listen, configListenContexts },
        { kind: 'document', tenant, group: watched[0]!.key.group },
      )
      this.deps.onHeard()
      const changed = answer.body['changedConfigs']
      if (!listen || !Array.isArray(changed)) return
      for (const item of changed as unknown[]) {
        const { group, dataId } = (item ?? {}) as { group?: unknown; dataId?: unknown }
        if (typeof group === 'string' && typeof dataId === 'string') this.changed(group, dataId)
      }
    } catch (error) {
      this.deps.log.debug({ registry: this.deps.registry }, `listening to documents failed: ${describeError(error)}`)
      const again = watched.filter((one) => listen && one.timer === undefined)
      for (const one of again) this.askLater(one, this.deps.times.confirmAfterMs)
    }
  }

  private async ask(watched: Watched): Promise<void> {
    if (watched.isAsking) {
      watched.isDirty = true
      return
    }
    watched.isAsking = true
    watched.isDirty = false
    watched.timer?.()
    watched.timer = undefined
    try {
      const stored = await this.transport().read(watched.key)
      this.deps.onHeard()
      this.deps.refusals.answered('documents', nameOf(watched.key))
      this.hear(watched, stored)
    } catch (error) {
      if (error instanceof MeshError && error.code === 'E_REGISTRY_DENIED' && watched.listeners.size > 0)
        this.deps.refusals.refused('documents', nameOf(watched.key), error)
      this.deps.log.debug({ registry: this.deps.registry, document: watched.key.dataId }, describeError(error))
      // without a connection the next one asks anyway
      if (this.deps.session.connection !== undefined || this.deps.isHttpOnly())
        this.askLater(watched, this.deps.times.confirmAfterMs)
    } finally {
      watched.isAsking = false
      if (watched.isDirty) void this.ask(watched)
    }
  }

  private askLater(watched: Watched, ms: number): void {
    if (this.isClosed || this.watched.get(`${watched.key.group}\n${watched.key.dataId}`) !== watched) return
    watched.timer?.()
    watched.timer = this.deps.clock.after(ms * (0.75 + this.deps.random() / 2), () => void this.ask(watched))
  }

  private hear(watched: Watched, stored: StoredDocument | undefined): void {
    if (this.isClosed || watched.listeners.size === 0) return
    const { known } = watched
    const isSame = watched.isAnswered && stored?.md5 === known?.md5
    const isDoubtful =
      known !== undefined &&
      !isSame &&
      (stored === undefined || (stored.modifiedAt !== 0 && stored.modifiedAt < known.modifiedAt))
    if (isDoubtful && ++watched.doubts < doubtsNeeded) {
      this.deps.metrics.count('registry_documents_doubted', { registry: this.deps.registry })
      this.askLater(watched, this.deps.times.confirmAfterMs / 2)
      return
    }
    watched.doubts = 0
    watched.known = stored
    if (isSame) return
    const isFirst = !watched.isAnswered
    watched.isAnswered = true
    for (const listener of watched.listeners) this.tell(listener, watched)
    // only now is our md5 the one that the server must compare with
    if (isFirst) void this.listen([watched], true)
  }

  private tell(listener: (document: ConfigDocument | undefined) => void, watched: Watched): void {
    try {
      listener(watched.known === undefined ? undefined : document(watched.key, watched.known))
    } catch (error) {
      this.deps.log.error({ code: 'E_INTERNAL' }, `a listener failed: ${describeError(error)}`)
    }
  }

  private transport(): DocumentTransport {
    return this.deps.session.connection === undefined && this.deps.isHttpOnly()
      ? this.deps.overHttp
      : this.deps.overGrpc
  }

  /** Repeats what failed for want of a connection, until the caller's time is over. */
  private async retry<T>(ask: (transport: DocumentTransport) => Promise<T>, signal: AbortSignal): Promise<T> {
    this.start()
    for (;;) {
      let problem: MeshError
      if (signal.aborted)
        throw new MeshError('E_REGISTRY_TIMEOUT', `registry ${this.deps.registry}: given up by the caller`)
      try {
        const answer = await orGivenUp(ask(this.transport()), signal, this.deps.registry)
        this.deps.onHeard()
        return answer
      } catch (error) {
        problem = error instanceof MeshError ? error : new MeshError('E_INTERNAL', 'documents', { cause: error })
      }
      if (problem.code !== 'E_REGISTRY_UNREACHABLE' || this.isClosed) throw problem
      await pause(100, this.deps.clock, signal)
      if (signal.aborted) throw problem
    }
  }
}

function nameOf({ group, dataId }: DocumentKey): string {
  return `${group}/${dataId}`
}

function document(key: DocumentKey, stored: StoredDocument): ConfigDocument {
  return { ...key, content: stored.content, revision: stored.md5 }
}

function conflict(name: string, expected: string, found: string): MeshError {
  return new MeshError(
    'E_REGISTRY_CONFLICT',
    `${name}: found ${found === '' ? 'no document' : `revision ${found}`}, expected ${expected === '' ? 'none' : expected}; nothing was written, read it again`,
  )
}

function orGivenUp<T>(work: Promise<T>, signal: AbortSignal, registry: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void =>
      reject(new MeshError('E_REGISTRY_TIMEOUT', `registry ${registry}: given up by the caller`))
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const cancel = clock.after(ms, done)
    function done(): void {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
  })
}
