/**
 * A store in a folder: one small file per change, named by its revision, and now and then a snapshot of everything.
 *
 * A change is made by giving a finished file the name of the next revision with link(2), which fails when somebody else
 * has that name: compare-and-set between processes without a lock. Whoever is killed, at any byte, leaves a temporary
 * file that nobody reads.
 *
 * It is acknowledged when file and name are synced, and the next one gets its name after that. So a loss of power can
 * cut off the newest file alone, of which nobody was told that it is kept.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, watch, type FSWatcher } from 'node:fs'
import { link, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../../contracts/clock.ts'
import { MeshError } from '../../../contracts/errors.ts'
import type { AdapterLog } from '../../../contracts/registry-adapter.ts'
import { systemReason } from '../config/yaml-file.ts'
import { removeLeftovers } from '../core/state/leftovers.ts'
import { isCutOff, openRecord, readRecord, syncPath, writeRecord } from './record.ts'
import { keptChanges } from './kept-changes.ts'
import { KnownState } from './known-state.ts'
import { LastRefusal } from './last-refusal.ts'
import { StoreTurns } from './store-turns.ts'
import type { Store, StoreChange, StoreListener, StoreState, StoreVersion } from './store.ts'
import { withPresent } from './with-present.ts'

export interface FileStoreOptions {
  readonly folder: string
  readonly clock: Clock
  readonly log: AdapterLog
  /** Changes between two snapshots. Default 500. */
  readonly snapshotEvery?: number
  /** Changes that are kept for the history behind a snapshot. Default 1000. */
  readonly kept?: number
  /** Of these, changes of one key. Default 50. */
  readonly keptOfKey?: number
}

const digits = 12

interface Entry extends StoreChange {
  readonly at: number
}

export class FileStore implements Store {
  readonly type = 'files'
  private readonly options: Required<FileStoreOptions>
  private readonly known = new KnownState()
  private readonly turns: StoreTurns
  private readonly id = randomUUID()
  private snapshotAt = 0
  /** Of changes behind the snapshot, by revision: each file is read once. */
  private keys: ReadonlyMap<number, string> = new Map()
  /** This one is on the disk, and all before it. */
  private synced = 0
  /** The disk refused to sync the newest change: what is read of it may not be what is on the disk. */
  private isDoubtful = false
  private isLoaded = false
  /** The last look found nothing of what is known. */
  private isEmptied = false
  private problemNow: string | undefined
  private readonly lastRefusal: LastRefusal
  private watcher: FSWatcher | undefined

  constructor(options: FileStoreOptions) {
    this.options = { snapshotEvery: 500, kept: 1000, keptOfKey: 50, ...options }
    this.lastRefusal = new LastRefusal(`store ${options.folder}`, options.log)
    this.turns = new StoreTurns(options.clock, async () => {
      await this.look()
      return this.problemNow === undefined
    })
  }

  watch(listener: StoreListener): void {
    this.known.listen(listener)
    this.turns.lookSoon()
  }

  write(key: string, value: string | undefined, expected: number): Promise<number> {
    return this.turns.inTurn(async () => {
      // a commit finds out itself whether what is known is the newest: the folder is read only when it is not
      let isSeen = false
      for (;;) {
        if (isSeen || !this.isLoaded || this.problemNow !== undefined) {
          isSeen = true
          await this.look()
          if (this.problemNow !== undefined) throw unavailable(this.problemNow)
        }
        const present = this.known.get(key)?.revision ?? 0
        if (present === expected) {
          const entry: Entry = { key, value, revision: this.known.revision + 1, at: this.options.clock.wall() }
          if (await this.commit(entry)) {
            if (this.known.revision - this.snapshotAt >= this.options.snapshotEvery) await this.compact()
            return entry.revision
          }
          // another process had that revision
        } else if (isSeen) throw conflict(key, expected, present)
        isSeen = true
      }
    })
  }

  async history(key: string, limit: number): Promise<readonly StoreVersion[]> {
    const found: StoreVersion[] = []
    await this.turns.inTurn(() => this.look())
    if (!this.isLoaded) throw unavailable(this.problemNow ?? this.options.folder)
    try {
      const { entries } = await this.names()
      for (const revision of entries.toReversed()) {
        if (found.length >= limit) break
        const entry = (await readRecord(this.entryFile(revision))) as Entry | undefined
        if (entry?.key === key) found.push(entry)
      }
    } catch (error) {
      throw unavailable(reasonOf(error))
    }
    return withPresent(found, this.known.get(key), limit)
  }

  problem(): string | undefined {
    return this.problemNow ?? this.lastRefusal.problem
  }

  async close(): Promise<void> {
    this.unwatch()
    await this.turns.close()
  }

  /** Takes what is new in the folder. Never rejects: what is wrong is the problem of now. */
  private async look(): Promise<void> {
    try {
      this.open()
      if (!this.isLoaded) await this.load()
      else await this.follow()
      this.known.tell()
      if (this.problemNow !== undefined) this.options.log.info({}, `store ${this.options.folder}: can be read again`)
      this.problemNow = undefined
    } catch (error) {
      const reason = `store ${this.options.folder}: ${reasonOf(error)}`
      // open() makes the folder again
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.unwatch()
      if (this.problemNow !== reason)
        this.options.log.error({ code: 'E_STORE_UNAVAILABLE' }, `${reason}; the rules in force stay`)
      this.problemNow = reason
    }
  }

  private open(): void {
    if (this.watcher !== undefined) return
    const { folder } = this.options
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    removeLeftovers(folder)
    this.watcher = watch(folder, { persistent: false }, (_event, name) => {
      if (name?.endsWith('.entry') === true) this.turns.lookSoon()
    })
    this.watcher.on('error', () => this.unwatch())
  }

  private unwatch(): void {
    this.watcher?.close()
    this.watcher = undefined
  }

  private async load(): Promise<void> {
    const state = await this.newestSnapshot()
    this.known.replace(state)
    this.snapshotAt = state.revision
    const { entries } = await this.names()
    const newest = entries.at(-1) ?? 0
    if (newest > state.revision && (await isCutOff(this.entryFile(newest)))) await this.passOver(newest)
    else this.known.take(await this.news())
    this.isLoaded = true
  }

  /** Takes all before a change that a loss of power cut off. Its revision is not given again: hosts may know it. */
  private async passOver(revision: number): Promise<void> {
    this.known.take(await this.news(revision))
    // a gap: the next look says so
    if (this.known.revision !== revision - 1) return
    const { folder, log } = this.options
    this.known.replace({ revision, entries: this.known.all() })
    await this.writeSnapshot()
    await rm(this.entryFile(revision), { force: true })
    log.warn({}, `store ${folder}: change ${revision} was cut off by a loss of power before it was acknowledged`)
  }

  private async newestSnapshot(): Promise<StoreState> {
    for (;;) {
      const at = (await this.names()).snapshots.at(-1)
      if (at === undefined) return { revision: 0, entries: [] }
      const state = (await readRecord(this.snapshotFile(at))) as StoreState | undefined
      // another process puts a newer one in its place before it removes it
      if (state !== undefined) return state
    }
  }

  private async follow(): Promise<void> {
    const changes = await this.news()
    if (changes.length > 0) return this.known.take(changes)
    // nothing under the next name: is it gone because others went on without us?
    const { snapshots, entries } = await this.names()
    if (Math.max(snapshots.at(-1) ?? 0, entries.at(-1) ?? 0) < this.known.revision)
      return this.putBack(snapshots.length + entries.length === 0)
    this.isEmptied = false
    if ((snapshots.at(-1) ?? 0) > this.known.revision) {
      this.isLoaded = false
      return this.load()
    }
    if ((entries.at(-1) ?? 0) <= this.known.revision) return
    // somebody may have written between the two looks
    const late = await this.news()
    if (late.length === 0)
      throw new Error(`change ${this.known.revision + 1} is missing; put the folder back from a copy`)
    this.known.take(late)
  }

  /**
   * The folder holds less than was acknowledged, and what is written behind that would not be read by the next start.
   * One that is empty, and was so at the look before, gets what is known; an older state in it is somebody's doing.
   */
  private async putBack(isEmpty: boolean): Promise<void> {
    const { folder, log } = this.options
    const { revision } = this.known
    const wasEmptied = this.isEmptied
    this.isEmptied = isEmpty
    if (!isEmpty)
      throw new Error(
        `change ${revision} was removed; put the folder back from a copy, or restart to take what it holds`,
      )
    if (!wasEmptied) throw new Error('all that was in it was removed')
    await this.writeSnapshot()
    log.warn({}, `store ${folder}: had been emptied; what was known is written again, up to change ${revision}`)
    this.isEmptied = false
  }

  private async news(before = Infinity): Promise<Entry[]> {
    const found: Entry[] = []
    for (let next = this.known.revision + 1; next < before; next++) {
      const entry = (await readRecord(this.entryFile(next))) as Entry | undefined
      if (entry === undefined) break
      found.push(entry)
    }
    return found
  }

  /**
   * False: somebody else has this revision, or what it follows on is gone. Rejects with E_STORE_UNAVAILABLE. The
   * listener is told when nothing but a loss of power could undo the change, the writer when that cannot either.
   */
  private async commit(entry: Entry): Promise<boolean> {
    const file = this.entryFile(entry.revision)
    const temporary = this.temporary(file)
    try {
      await this.settle()
      const record = await openRecord(temporary, entry)
      try {
        await link(temporary, file)
        if (!(await this.isNext(entry.revision))) {
          await rm(file, { force: true })
          return false
        }
        this.isDoubtful = true
        const syncing = Promise.all([record.sync(), syncPath(this.options.folder)])
        this.known.take([entry])
        await syncing
        this.isDoubtful = false
        this.synced = entry.revision
      } finally {
        await record.close()
        await rm(temporary, { force: true })
      }
      this.lastRefusal.taken()
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      this.lastRefusal.refused(reasonOf(error))
      throw unavailable(`${this.options.folder}: cannot be written: ${reasonOf(error)}`)
    }
  }

  /** The newest change is on the disk before the next one gets its name, whoever made it. */
  private async settle(): Promise<void> {
    const { revision } = this.known
    // a sync that failed once may succeed the next time without having written anything
    if (this.isDoubtful) await this.writeSnapshot()
    else if (Math.max(this.synced, this.snapshotAt) < revision) {
      const paths = [this.entryFile(revision), this.options.folder]
      // one that is gone is in a snapshot, or the commit finds that out
      await Promise.all(paths.map((path) => syncPath(path).catch(unlessGone)))
    }
    this.synced = revision
  }

  /** Whether a revision whose file was just made belongs behind what the folder holds. */
  private async isNext(revision: number): Promise<boolean> {
    const { entries, snapshots } = await this.names()
    const snapshot = snapshots.at(-1) ?? 0
    // a revision that a snapshot already holds had its file removed: the name was free, the revision was not
    if (snapshot >= revision) return false
    return revision === 1 || snapshot === revision - 1 || entries.includes(revision - 1)
  }

  /** Writes everything into one file and removes what nobody needs any more. A failure costs only room. */
  private async compact(): Promise<void> {
    const { folder, kept, keptOfKey, log } = this.options
    try {
      await this.writeSnapshot()
      const { entries, snapshots } = await this.names()
      for (const revision of snapshots) if (revision < this.known.revision) await rm(this.snapshotFile(revision))
      const changes: { readonly revision: number; readonly key: string }[] = []
      for (const revision of entries)
        if (revision <= this.known.revision) changes.push({ revision, key: await this.keyOf(revision) })
      const stay = new Map(
        keptChanges(changes, { all: kept, ofKey: keptOfKey }).map(({ key, revision }) => [revision, key]),
      )
      for (const { revision } of changes) if (!stay.has(revision)) await rm(this.entryFile(revision), { force: true })
      this.keys = stay
    } catch (error) {
      log.warn({ code: 'E_STORE_UNAVAILABLE' }, `store ${folder}: no snapshot was made: ${reasonOf(error)}`)
    }
  }

  /** One that is damaged goes when it is old. */
  private async keyOf(revision: number): Promise<string> {
    const known = this.keys.get(revision)
    if (known !== undefined) return known
    const entry = (await readRecord(this.entryFile(revision)).catch(() => undefined)) as Entry | undefined
    return entry?.key ?? `change ${revision}`
  }

  private async writeSnapshot(): Promise<void> {
    const { revision } = this.known
    const file = this.snapshotFile(revision)
    const temporary = this.temporary(file)
    await writeRecord(temporary, { revision, entries: this.known.all() })
    await rename(temporary, file)
    await syncPath(this.options.folder)
    this.snapshotAt = revision
    this.isDoubtful = false
  }

  private async names(): Promise<{ entries: number[]; snapshots: number[] }> {
    const entries: number[] = []
    const snapshots: number[] = []
    for (const name of await readdir(this.options.folder)) {
      const match = /^(\d{12})\.(entry|snapshot)$/.exec(name)
      if (match !== null) (match[2] === 'entry' ? entries : snapshots).push(Number(match[1]))
    }
    const ascending = (a: number, b: number): number => a - b
    return { entries: entries.toSorted(ascending), snapshots: snapshots.toSorted(ascending) }
  }

  /** Of this store alone, also among several of one process; what a killed process left is removed by its number. */
  private temporary(file: string): string {
    return `${file}.${this.id}.${process.pid}.tmp`
  }

  private entryFile(revision: number): string {
    return join(this.options.folder, `${String(revision).padStart(digits, '0')}.entry`)
  }

  private snapshotFile(revision: number): string {
    return join(this.options.folder, `${String(revision).padStart(digits, '0')}.snapshot`)
  }
}

export function conflict(key: string, expected: number, present: number): MeshError {
  const words = (revision: number): string => (revision === 0 ? 'none' : `revision ${revision}`)
  return new MeshError('E_STORE_CONFLICT', `${key}: found ${words(present)}, expected ${words(expected)}`)
}

export function unavailable(message: string): MeshError {
  return new MeshError('E_STORE_UNAVAILABLE', message)
}

function unlessGone(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === undefined ? (error as Error).message : systemReason(error)
}
