/** What one client of xDS in its older form wants of a type, has, and still has to be told. */
import type { Encoded, ResourceReader, Resources, Wildcard } from './resources.ts'

export interface StateTypeOptions {
  readonly resources: Resources
  readonly wildcard: Wildcard | undefined
  /** Something may have to be said. */
  onNews(): void
  /** There can be no resource of this name. */
  onImpossible(name: string): void
}

export class StateType implements ResourceReader {
  private readonly options: StateTypeOptions
  private readonly explicit = new Set<string>()
  private readonly impossible = new Set<string>()
  private subscribed: ReadonlySet<string> = new Set()
  private stopWildcard: (() => void) | undefined
  private hasNamed = false
  /** By name: what the client has, or is being sent. */
  held = new Map<string, Encoded>()
  readonly dirty = new Set<string>()
  /** Of the newest response; '' = none yet. */
  nonce = ''
  isUnderWay = false
  /** The client still has what it is not to have any more. */
  hasStale = false
  /** Asked for something anew: an answer is due even if all is as before. */
  isDue = true

  constructor(options: StateTypeOptions) {
    this.options = options
  }

  get isBehind(): boolean {
    return this.dirty.size > 0 || this.isDue
  }

  get size(): number {
    return this.subscribed.size
  }

  /** `names`: all that are wanted from now on; none at all, ever, stands for whatever there is. */
  want(names: readonly string[]): void {
    const { wildcard } = this.options
    const explicit = new Set(names)
    const isWild = explicit.delete('*') || (names.length === 0 && !this.hasNamed)
    this.hasNamed ||= explicit.size > 0
    for (const name of explicit) {
      if (this.explicit.has(name)) continue
      // a name that is asked for anew is sent anew
      this.held.delete(name)
      this.dirty.add(name)
      this.isDue = true
    }
    this.explicit.clear()
    for (const name of explicit) this.explicit.add(name)
    if (isWild && wildcard !== undefined) this.stopWildcard ??= wildcard.watch(() => this.subscribe())
    else {
      this.stopWildcard?.()
      this.stopWildcard = undefined
    }
    this.subscribe()
  }

  /** Names of what the client is to have; undefined = not known yet. */
  wanted(): ReadonlySet<string> | undefined {
    if (this.stopWildcard === undefined) return this.explicit
    const wild = this.options.wildcard?.names()
    if (wild === undefined || this.explicit.size === 0) return wild
    return new Set([...wild, ...this.explicit])
  }

  get(name: string): Encoded | undefined {
    return this.impossible.has(name) ? nothing : this.options.resources.get(name)
  }

  /** The client needs it once more although it has it. */
  again(name: string): void {
    if (!this.subscribed.has(name)) return
    this.held.delete(name)
    this.onNews(name)
  }

  onNews(name: string): void {
    this.dirty.add(name)
    this.options.onNews()
  }

  close(): void {
    this.stopWildcard?.()
    for (const name of this.subscribed) this.options.resources.unsubscribe(name, this)
  }

  private subscribe(): void {
    const { resources, onImpossible, onNews } = this.options
    const wanted = new Set(this.wanted() ?? [])
    for (const name of wanted) {
      if (this.subscribed.has(name)) continue
      this.dirty.add(name)
      if (resources.subscribe(name, this)) continue
      this.impossible.add(name)
      onImpossible(name)
    }
    for (const name of this.subscribed) {
      if (wanted.has(name)) continue
      this.impossible.delete(name)
      resources.unsubscribe(name, this)
      // for a type that is told whole it is gone with the next response; what the client never had is no news
      if (this.held.has(name)) this.dirty.add(name)
      else this.dirty.delete(name)
    }
    this.subscribed = wanted
    onNews()
  }
}

const nothing: Encoded = { version: '', bytes: undefined, any: undefined, awaitsEndpoints: false }
