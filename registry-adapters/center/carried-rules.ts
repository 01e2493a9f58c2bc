/**
 * Rules as a center sends them, by service, put together as collections: each rule once, whichever service it came
 * with.
 */
import { serviceKey, type ServiceName } from '../../contracts/endpoint.ts'
import type { RuleCollection, RuleFeed, Subscription } from '../../contracts/registry-adapter.ts'
import { meshRules } from './wire/delta.ts'
import { decodeRules, type CarriedRule } from './wire/service-rules.ts'

export interface CarriedRulesDeps {
  /** Names that are wanted from now on, and are no longer. */
  onWanted(added: readonly string[], dropped: readonly string[]): void
}

export class CarriedRules implements RuleFeed {
  private readonly deps: CarriedRulesDeps
  private readonly byName = new Map<string, readonly CarriedRule[] | undefined>([[meshRules, undefined]])
  private readonly listeners = new Set<(collections: readonly RuleCollection[]) => void>()
  private soon: NodeJS.Immediate | undefined

  constructor(deps: CarriedRulesDeps) {
    this.deps = deps
  }

  watch(listener: (collections: readonly RuleCollection[]) => void): Subscription {
    this.listeners.add(listener)
    return { unsubscribe: () => void this.listeners.delete(listener) }
  }

  want(services: readonly ServiceName[]): void {
    const names = new Set([meshRules, ...services.map(serviceKey)])
    const added = [...names].filter((name) => !this.byName.has(name))
    const dropped = [...this.byName.keys()].filter((name) => !names.has(name))
    for (const name of added) this.byName.set(name, undefined)
    for (const name of dropped) this.byName.delete(name)
    if (added.length > 0 || dropped.length > 0) this.deps.onWanted(added, dropped)
    if (dropped.length > 0) this.tellSoon()
  }

  names(): string[] {
    return [...this.byName.keys()]
  }

  /** Throws RangeError. Undefined: the center has none. */
  take(name: string, bytes: Buffer | undefined): void {
    if (!this.byName.has(name)) return
    this.byName.set(name, bytes === undefined ? [] : decodeRules(bytes))
    this.tellSoon()
  }

  close(): void {
    this.listeners.clear()
    if (this.soon !== undefined) clearImmediate(this.soon)
  }

  /** Nothing before the first word: what was in force before stays. */
  private tellSoon(): void {
    this.soon ??= setImmediate(() => {
      this.soon = undefined
      const rules = new Map<string, string>()
      let isComplete = true
      for (const list of this.byName.values()) {
        isComplete &&= list !== undefined
        for (const { name, text } of list ?? []) rules.set(name, text)
      }
      // a rule that comes with a service of which nothing was heard yet must not vanish meanwhile
      if (!isComplete) return
      const collections = [...rules].map(([name, text]) => ({ name, text }))
      for (const listener of this.listeners) listener(collections)
    })
  }
}
