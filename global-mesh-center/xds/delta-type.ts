/** What one client of incremental xDS wants of a type, has, and still has to be told. */
import type { ResourceReader, Resources, Wildcard } from './resources.ts'

export class DeltaType implements ResourceReader {
  resources: Resources
  /** By name: the version that the client has or is being sent; undefined = none. */
  readonly held = new Map<string, string | undefined>()
  readonly dirty = new Set<string>()
  /** Of the response under way; '' = none. */
  nonce = ''
  /** The first request is always answered, also when there is nothing to say. */
  isFirst = true
  private readonly onDirty: () => void
  private readonly explicit = new Set<string>()
  private wildcard: { readonly is: Wildcard; readonly stop: () => void } | undefined
  /** The client has them and they are not in what it gets without naming it any more. */
  private readonly gone = new Set<string>()

  constructor(resources: Resources, onDirty: () => void) {
    this.resources = resources
    this.onDirty = onDirty
  }

  get isUnderWay(): boolean {
    return this.nonce !== ''
  }

  get isBehind(): boolean {
    return this.dirty.size > 0 || this.isFirst
  }

  /** Whether the first response can be made: one that lacks what is not known yet would say that all is there. */
  isReady(): boolean {
    if (this.wildcard === undefined || !this.isFirst) return true
    const names = this.wildcard.is.names()
    return names !== undefined && [...names].every((name) => this.resources.get(name) !== undefined)
  }

  /** False: no such name can exist, and nothing is kept of it. */
  add(name: string, version: string | undefined): boolean {
    if (!this.resources.subscribe(name, this)) return false
    this.explicit.add(name)
    this.gone.delete(name)
    // a name that is asked for again is sent again
    this.held.set(name, version)
    this.dirty.add(name)
    return true
  }

  remove(name: string): void {
    if (!this.explicit.delete(name) || this.wildcard?.is.names()?.has(name) === true) return
    this.held.delete(name)
    this.dirty.delete(name)
    this.resources.unsubscribe(name, this)
  }

  /** From now on it gets whatever there is. `known`: versions by name that it has from before. */
  begin(wildcard: Wildcard, known: ReadonlyMap<string, string>): void {
    if (this.wildcard !== undefined) return
    this.wildcard = { is: wildcard, stop: wildcard.watch(() => this.follow()) }
    for (const [name, version] of known) {
      if (this.held.has(name)) continue
      this.held.set(name, version)
      // until it turns out to be there
      this.gone.add(name)
    }
    this.follow()
  }

  end(): void {
    this.wildcard?.stop()
    this.wildcard = undefined
    for (const name of this.held.keys()) {
      if (this.explicit.has(name)) continue
      this.resources.unsubscribe(name, this)
      this.dirty.delete(name)
      this.held.delete(name)
    }
    this.gone.clear()
  }

  /** The client needs it once more although it has it. */
  again(name: string): void {
    if (!this.held.has(name)) return
    this.held.set(name, undefined)
    this.onNews(name)
  }

  moveTo(next: Resources): void {
    const before = this.resources
    this.resources = next
    for (const name of this.held.keys()) {
      next.subscribe(name, this)
      before.unsubscribe(name, this)
      this.dirty.add(name)
    }
  }

  /** Names that the client is to forget, each once. */
  takeGone(): readonly string[] {
    if (this.gone.size === 0 || this.wildcard?.is.names() === undefined) return []
    const names = [...this.gone]
    this.gone.clear()
    for (const name of names) this.held.delete(name)
    return names
  }

  onNews(name: string): void {
    this.dirty.add(name)
    this.onDirty()
  }

  close(): void {
    this.wildcard?.stop()
    for (const name of this.held.keys()) this.resources.unsubscribe(name, this)
  }

  private follow(): void {
    const names = this.wildcard?.is.names()
    if (names === undefined) return
    for (const name of names) {
      if (this.held.has(name) && !this.gone.delete(name)) continue
      this.held.set(name, this.held.get(name))
      this.resources.subscribe(name, this)
      this.dirty.add(name)
    }
    for (const name of this.held.keys()) {
      if (names.has(name) || this.explicit.has(name) || this.gone.has(name)) continue
      this.gone.add(name)
      this.dirty.delete(name)
      this.resources.unsubscribe(name, this)
    }
    this.onDirty()
  }
}
