/** The rules of the store for agents, by the service about which they decide. */
import { parseServiceName, serviceKey } from '../../contracts/endpoint.ts'
import { RuleStore, type RuleStoreOptions } from '../../agent/control/core/rules/rule-store.ts'
import type { RuleChange, RuleDocument } from '../../agent/control/core/rules/types.ts'
import { meshRules } from '../../registry-adapters/center/wire/delta.ts'
import { encodeRules, type CarriedRule } from '../../registry-adapters/center/wire/service-rules.ts'
import type { ResourceSource } from './resources.ts'

const source = 'store'

/** Rules for whoever compiles them itself. */
export interface RulesView {
  /** undefined = the store has not been read yet. */
  readonly inForce: RuleStore | undefined
  watch(onChange: (affected: RuleChange['affected']) => void): () => void
}

export class AgentRules implements ResourceSource, RulesView {
  private readonly store: RuleStore
  private readonly watchers = new Set<(affected: RuleChange['affected']) => void>()
  private readonly wanted = new Map<string, (value: Buffer | undefined) => void>()
  /** By service; undefined = the store has not been read yet. */
  private rules: ReadonlyMap<string, readonly CarriedRule[]> | undefined
  private newest: object = {}

  constructor(scope: RuleStoreOptions) {
    this.store = new RuleStore(scope)
  }

  get inForce(): RuleStore | undefined {
    return this.rules === undefined ? undefined : this.store
  }

  watch(onChange: (affected: RuleChange['affected']) => void): () => void {
    this.watchers.add(onChange)
    return () => void this.watchers.delete(onChange)
  }

  follow(name: string, onValue: (value: Buffer | undefined) => void): (() => void) | false {
    const service = name === meshRules ? undefined : parseServiceName(name)
    if (name !== meshRules && (service === undefined || serviceKey(service) !== name)) return false
    this.wanted.set(name, onValue)
    setImmediate(() => this.tell(name))
    return () => void this.wanted.delete(name)
  }

  /** A long list is read in steps, so that streams are served meanwhile; the newest call counts. */
  async replace(documents: readonly RuleDocument[]): Promise<void> {
    const call = {}
    this.newest = call
    if (this.store.isLong(source, documents))
      await this.store.readAhead(source, documents, () => new Promise((resolve) => void setImmediate(resolve)))
    if (this.newest !== call) return
    const isFirst = this.rules === undefined
    const { affected } = this.store.replaceSource(source, documents)
    const byService = new Map<string, CarriedRule[]>()
    for (const { document, text, services } of this.store.hostedRules()) {
      for (const name of services ?? [meshRules]) {
        const there = byService.get(name)
        if (there === undefined) byService.set(name, [{ name: document, text }])
        else there.push({ name: document, text })
      }
    }
    this.rules = byService
    for (const name of this.wanted.keys()) this.tell(name)
    for (const onChange of this.watchers) onChange(isFirst ? 'all' : affected)
  }

  private tell(name: string): void {
    if (this.rules !== undefined) this.wanted.get(name)?.(encodeRules(this.rules.get(name) ?? []))
  }
}
