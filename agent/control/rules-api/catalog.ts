/**
 * The rules of the store in memory: for lists, for watches that go on from a revision, and as documents for the rule
 * compiler.
 */
import type { RuleDocument } from '../core/rules/types.ts'
import type { StoreChange, StoreListener, StoreState } from '../store/store.ts'
import { readKept, readDeleted } from './read-kept.ts'
import { documentOf, type KnownObject } from './rule-object.ts'

export interface ObjectChange {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** With the revision of this change, also for a removed one. */
  readonly known: KnownObject
  readonly before: KnownObject | undefined
}

export interface CatalogListener {
  onChange(change: ObjectChange): void
  /** What was heard may have gaps: begin again. */
  onReset(): void
}

/** Changes that a watch can go on from; one from before is told to list again. */
const keptChanges = 2000

export class Catalog implements StoreListener {
  private readonly known = new Map<string, KnownObject>()
  private readonly documents = new Map<string, RuleDocument>()
  /** By key: revision of the deletion, oldest first. */
  private readonly deletedAt = new Map<string, number>()
  private changes: ObjectChange[] = []
  /** Changes after this one are all in `changes`. */
  private changesSince = 0
  private readonly listeners = new Set<CatalogListener>()
  private readonly waiting = new Set<() => void>()
  private readonly onDocuments: (documents: readonly RuleDocument[]) => void
  private revisionNow = -1

  constructor(onDocuments: (documents: readonly RuleDocument[]) => void) {
    this.onDocuments = onDocuments
  }

  /** -1 = the store has not been read yet. */
  get revision(): number {
    return this.revisionNow
  }

  get size(): number {
    return this.known.size
  }

  get(key: string): KnownObject | undefined {
    return this.known.get(key)
  }

  /** What a new rule under this key replaces: the mark of a deleted one, or 0 for nothing. */
  revisionBehind(key: string): number {
    return this.deletedAt.get(key) ?? 0
  }

  /** Marks of deleted rules beyond this many, the oldest first. */
  deletedBeyond(most: number): { readonly key: string; readonly revision: number }[] {
    const beyond = Math.max(0, this.deletedAt.size - most)
    return [...this.deletedAt].slice(0, beyond).map(([key, revision]) => ({ key, revision }))
  }

  /** By key. */
  all(): readonly KnownObject[] {
    return [...this.known.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1))
  }

  /** undefined: it cannot be told what happened since: too long ago, or a revision that was not heard here. */
  since(revision: number): readonly ObjectChange[] | undefined {
    if (revision < this.changesSince || revision > this.revisionNow) return undefined
    return this.changes.filter((change) => change.known.revision > revision)
  }

  listen(listener: CatalogListener): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Resolves when this revision has been heard, or by `cancel`. */
  heard(revision: number): { done: Promise<void>; cancel(): void } {
    let cancel = (): void => undefined
    const done = new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.revisionNow < revision) return
        cancel()
      }
      cancel = () => {
        this.waiting.delete(look)
        resolve()
      }
      this.waiting.add(look)
      look()
    })
    return { done, cancel }
  }

  onState({ revision, entries }: StoreState): void {
    const isFirst = this.revisionNow < 0
    this.known.clear()
    this.documents.clear()
    this.deletedAt.clear()
    for (const { key, value, revision: at } of entries.toSorted((a, b) => a.revision - b.revision))
      this.take(key, value, at)
    this.changes = []
    this.changesSince = revision
    this.moved(revision)
    if (!isFirst) for (const listener of this.listeners) listener.onReset()
  }

  onChanges(changes: readonly StoreChange[]): void {
    let last = this.revisionNow
    for (const { key, value, revision } of changes) {
      last = revision
      const before = this.known.get(key)
      const after = this.take(key, value, revision)
      const change: ObjectChange | undefined =
        after !== undefined
          ? { type: before === undefined ? 'ADDED' : 'MODIFIED', known: after, before }
          : before === undefined
            ? undefined
            : { type: 'DELETED', known: { ...before, revision }, before }
      if (change === undefined) continue
      this.changes.push(change)
      for (const listener of this.listeners) listener.onChange(change)
    }
    if (this.changes.length > keptChanges) {
      const dropped = this.changes.splice(0, this.changes.length - keptChanges)
      this.changesSince = dropped.at(-1)!.known.revision
    }
    this.moved(last)
  }

  private moved(revision: number): void {
    this.revisionNow = revision
    this.onDocuments([...this.documents.values()])
    for (const look of this.waiting) look()
  }

  /** What is no rule, or was written by a version that knows more, is left alone. */
  private take(key: string, value: string | undefined, revision: number): KnownObject | undefined {
    const isRule = value !== undefined && key.startsWith('rules/')
    const kept = isRule ? readKept(value) : undefined
    this.deletedAt.delete(key)
    if (isRule && kept === undefined && readDeleted(value) !== undefined) this.deletedAt.set(key, revision)
    if (kept === undefined) {
      this.known.delete(key)
      this.documents.delete(key)
      return undefined
    }
    const known = { ...kept, key, revision }
    this.known.set(key, known)
    this.documents.set(key, documentOf(kept))
    return known
  }
}
