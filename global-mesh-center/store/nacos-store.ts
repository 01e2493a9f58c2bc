/**
 * A store in Nacos' configuration, which several centers share on Nacos' own cluster: each change is a document, and
 * one document, the head, names them all. A change is kept when the head that names it has replaced the one before, by
 * Nacos' compare-and-set (md5): of two centers one wins, and the other reads on and tries again.
 *
 * Needs Nacos 2.x or newer: the compare-and-set of older servers writes without comparing.
 */
import { randomUUID } from 'node:crypto'
import { describeError, MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps, ConfigSource, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { LastRefusal } from '../../agent/control/store/last-refusal.ts'
import { conflict, unavailable } from '../../agent/control/store/file-store.ts'
import { keptChanges } from '../../agent/control/store/kept-changes.ts'
import { KnownState } from '../../agent/control/store/known-state.ts'
import { StoreTurns } from '../../agent/control/store/store-turns.ts'
import type { Store, StoreListener, StoreVersion } from '../../agent/control/store/store.ts'
import { withPresent } from '../../agent/control/store/with-present.ts'
import {
  changeText,
  emptyHead,
  headText,
  partTexts,
  readChange,
  readHead,
  readPart,
  type NacosEntry,
  type NacosHead,
} from './nacos-log.ts'

export interface NacosStoreOptions {
  /** Not started yet; the store starts and closes it. */
  readonly adapter: () => Promise<RegistryAdapter>
  /** Group of all documents. */
  readonly group: string
  /** Their names begin with it. */
  readonly prefix: string
  /** Changes between two snapshots. Default 100. */
  readonly snapshotEvery?: number
  /** Changes that are kept for the history. Default 200. */
  readonly kept?: number
  /** Of these, changes of one key. Default 20. */
  readonly keptOfKey?: number
}

/** A head with the md5 by which the next one replaces it; '' = there is none. */
interface FoundHead {
  readonly head: NacosHead
  readonly md5: string
}

const noHead: FoundHead = { head: emptyHead, md5: '' }

const requestMs = 4000
/** A document that the head names may come to a member of the cluster a little later than the head, ms. */
const lateMs = 3000
const lateLookMs = 100
/** A server that comes back was seen to deny documents for a moment: so many looks before nothing is believed. */
const denials = 3
const denialPauseMs = 500

export class NacosStore implements Store {
  readonly type = 'nacos'
  private readonly options: Required<NacosStoreOptions>
  private readonly deps: AdapterDeps
  private readonly known = new KnownState()
  private readonly turns: StoreTurns
  private readonly abort = new AbortController()
  private problemNow: string | undefined = 'nacos has not answered yet'
  private readonly lastRefusal: LastRefusal
  private opening: Promise<{ adapter: RegistryAdapter; source: ConfigSource }> | undefined

  constructor(options: NacosStoreOptions, deps: AdapterDeps) {
    this.options = { snapshotEvery: 100, kept: 200, keptOfKey: 20, ...options }
    this.deps = deps
    this.lastRefusal = new LastRefusal('store in nacos', deps.log)
    this.turns = new StoreTurns(deps.clock, async () => {
      await this.attempt(() => this.follow()).catch(() => undefined)
      return this.problemNow === undefined
    })
  }

  watch(listener: StoreListener): void {
    this.known.listen(listener)
    void this.open()
      .then(({ source }) => source.watch(this.options.group, this.headName, () => this.turns.lookSoon()))
      .catch((error: unknown) => this.failed(error))
    this.turns.lookSoon()
  }

  write(key: string, value: string | undefined, expected: number): Promise<number> {
    return this.turns.inTurn(async () => {
      for (;;) {
        const found = await this.attempt(() => this.follow())
        const present = this.known.get(key)?.revision ?? 0
        if (present !== expected) throw conflict(key, expected, present)
        const { head, md5 } = found
        if (md5 === '') {
          await this.attempt(() => this.makeHead())
          continue
        }
        const revision = head.revision + 1
        const change = { key, value, revision, at: this.deps.clock.wall() }
        if (!(await this.attempt(() => this.commit(head, md5, change), true))) continue
        this.lastRefusal.taken()
        return revision
      }
    })
  }

  problem(): string | undefined {
    return this.problemNow ?? this.lastRefusal.problem
  }

  async history(key: string, limit: number): Promise<readonly StoreVersion[]> {
    return this.attempt(async () => {
      const { head } = await this.turns.inTurn(() => this.follow())
      const entries = head.entries.filter((one) => one.key === key).slice(-limit)
      const found = await Promise.all(entries.toReversed().map((entry) => this.readEntry(entry)))
      return withPresent(found, this.known.get(key), limit)
    })
  }

  async close(): Promise<void> {
    this.abort.abort()
    await this.turns.close()
    const opened = await this.opening?.catch(() => undefined)
    await opened?.adapter.close()
  }

  private open() {
    this.opening ??= this.options.adapter().then((adapter) => {
      const source = adapter.config
      if (source === undefined) throw new Error('the registry has no configuration store')
      adapter.start()
      return { adapter, source }
    })
    return this.opening
  }

  /** What fails is the problem of now. Rejects with E_STORE_CONFLICT as it is, with everything else as unavailable. */
  private async attempt<T>(work: () => Promise<T>, isChange = false): Promise<T> {
    try {
      const result = await work()
      if (this.problemNow !== undefined && this.known.revision >= 0) {
        this.deps.log.info({}, 'store in nacos: can be read')
        this.problemNow = undefined
      }
      return result
    } catch (error) {
      if (error instanceof MeshError && error.code === 'E_STORE_CONFLICT') throw error
      // it can be read
      if (isChange && error instanceof MeshError && error.code === 'E_REGISTRY_DENIED') {
        this.lastRefusal.refused(error.message)
        throw unavailable(`store in nacos: ${error.message}`)
      }
      throw this.failed(error)
    }
  }

  private failed(error: unknown): MeshError {
    const reason = `store in nacos: ${describeError(error)}`
    if (this.problemNow !== reason && !this.abort.signal.aborted)
      this.deps.log.error({ code: 'E_STORE_UNAVAILABLE' }, `${reason}; the rules in force stay`)
    this.problemNow = reason
    return unavailable(reason)
  }

  /** Takes what is new, and answers the head that says so. */
  private async follow(): Promise<FoundHead> {
    let found = await this.readHead()
    if (this.known.revision < 0 && found.md5 === '') found = await this.lookAgain()
    const { entries, revision } = found.head
    // a member of the cluster that lags behind says nothing new
    if (revision <= this.known.revision) {
      this.known.tell()
      return found
    }
    const news = entries.filter((one) => one.revision > this.known.revision)
    if (this.known.revision < 0 || news.length !== revision - this.known.revision) await this.load(found.head)
    else this.known.take(await Promise.all(news.map((entry) => this.readEntry(entry))))
    return found
  }

  private async load(head: NacosHead): Promise<void> {
    const { revision, parts } = head.snapshot
    const held = await Promise.all(parts.map(async (part) => readPart(part, await this.readDocument(part))))
    const behind = head.entries.filter((one) => one.revision > revision)
    const changes = await Promise.all(behind.map((entry) => this.readEntry(entry)))
    this.known.replace({ revision, entries: held.flat() })
    this.known.take(changes)
    this.known.tell()
  }

  /** False: somebody else was faster. */
  private async commit(head: NacosHead, md5: string, change: StoreVersion & { readonly at: number }): Promise<boolean> {
    const { key, revision, at } = change
    const entry: NacosEntry = { revision, key, id: randomUUID(), at }
    await this.publish(this.entryName(entry), changeText(change), '')
    const { next, removed } = await this.nextHead(head, entry, change)
    try {
      await this.publish(this.headName, headText(next), md5)
    } catch (error) {
      const now = (await this.readHead()).head
      // ours may have been replaced again before it was read back
      if (!now.entries.some(({ id }) => id === entry.id)) {
        // a member that lags behind does not know yet whether the head names our documents
        if (now.revision >= revision)
          await this.remove([
            this.entryName(entry),
            ...next.snapshot.parts.filter((one) => !head.snapshot.parts.includes(one)),
          ])
        if (error instanceof MeshError && error.code === 'E_REGISTRY_CONFLICT') return false
        throw error
      }
    }
    this.known.take([change])
    await this.remove(removed)
    return true
  }

  /** With a snapshot of everything now and then, and without what nobody needs behind it. */
  private async nextHead(
    head: NacosHead,
    entry: NacosEntry,
    change: StoreVersion,
  ): Promise<{ readonly next: NacosHead; readonly removed: readonly string[] }> {
    const { revision } = entry
    const entries = [...head.entries, entry]
    if (revision - head.snapshot.revision < this.options.snapshotEvery)
      return { next: { ...head, revision, entries }, removed: [] }
    const state = new Map(this.known.all().map((known) => [known.key, known]))
    if (change.value === undefined) state.delete(change.key)
    else state.set(change.key, { ...change, value: change.value })
    const id = randomUUID()
    const texts = partTexts({ revision, entries: [...state.values()] })
    const parts = texts.map((_, at) => `${this.options.prefix}.snapshot.${id}.${at}`)
    for (const [at, text] of texts.entries()) await this.publish(parts[at]!, text, '')
    const kept = keptChanges(entries, { all: this.options.kept, ofKey: this.options.keptOfKey })
    const stay = new Set(kept.map((one) => one.id))
    const old = entries.flatMap((one) => (stay.has(one.id) ? [] : [this.entryName(one)]))
    const next = { format: 1, revision, snapshot: { revision, parts }, entries: kept } as const
    return { next, removed: [...old, ...head.snapshot.parts] }
  }

  /** Two centers that begin at once make the same one. */
  private async makeHead(): Promise<void> {
    if ((await this.lookAgain()).md5 !== '') return
    try {
      await this.publish(this.headName, headText(emptyHead), '')
    } catch (error) {
      if (!(error instanceof MeshError && error.code === 'E_REGISTRY_CONFLICT')) throw error
    }
  }

  /** For a head that a server says is not there. */
  private async lookAgain(): Promise<FoundHead> {
    let found: FoundHead = noHead
    for (let denied = 1; denied < denials && found.md5 === ''; denied++) {
      await this.pause(denialPauseMs)
      found = await this.readHead()
    }
    return found
  }

  private async readHead(): Promise<FoundHead> {
    const { source } = await this.open()
    const found = await source.read(this.options.group, this.headName, this.signal())
    if (found !== undefined) return { head: readHead(this.headName, found.content), md5: found.revision }
    if (this.known.revision > 0) throw new Error(`document ${this.headName} is gone, or not there yet`)
    return noHead
  }

  private async readEntry(entry: NacosEntry): Promise<StoreVersion> {
    const name = this.entryName(entry)
    return readChange(name, await this.readDocument(name))
  }

  private async readDocument(name: string): Promise<string> {
    const { source } = await this.open()
    const until = this.deps.clock.monotonic() + lateMs
    for (;;) {
      const found = await source.read(this.options.group, name, this.signal())
      if (found !== undefined) return found.content
      if (this.deps.clock.monotonic() > until) throw new Error(`document ${name} is missing`)
      await this.pause(lateLookMs)
    }
  }

  private async publish(name: string, content: string, md5: string): Promise<void> {
    const { source } = await this.open()
    await source.publish(this.options.group, name, content, md5, this.signal())
  }

  /** A failure costs only room. */
  private async remove(names: readonly string[]): Promise<void> {
    const { source } = await this.open()
    for (const name of names) await source.remove(this.options.group, name, this.signal()).catch(() => undefined)
  }

  private signal(): AbortSignal {
    return AbortSignal.any([this.abort.signal, AbortSignal.timeout(requestMs)])
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.deps.clock.after(ms, resolve))
  }

  private get headName(): string {
    return `${this.options.prefix}.head`
  }

  private entryName({ id }: NacosEntry): string {
    return `${this.options.prefix}.change.${id}`
  }
}
