/**
 * The rules that a node is told and keeps: in a store, given to the compiler as one source, and read and written by the
 * API of rules.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../contracts/clock.ts'
import type { AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import { RuleStore, type RuleStoreOptions } from '../core/rules/rule-store.ts'
import type { RuleProblem, RuleStatus } from '../../../contracts/rule-status.ts'
import type { RuleDocument, Rules } from '../core/rules/types.ts'
import type { Timeline } from '../events/timeline.ts'
import type { Log } from '../log.ts'
import { everyListener } from '../store/every-listener.ts'
import type { Store, StoreListener } from '../store/store.ts'
import { apiKinds } from './api-kinds.ts'
import type { ApiSection } from './api-section.ts'
import { Catalog } from './catalog.ts'
import type { RuleObject } from './rule-object.ts'
import { RuleWrites, type ChangeLine } from './rule-writes.ts'
import { RulesApi } from './rules-api.ts'
import { TimeToLive, ttlProblem } from './time-to-live.ts'

/** What is told of the rules. */
export interface ToldControl {
  readonly core: { replaceRules(source: string, documents: readonly RuleDocument[]): void }
  readonly deps: { readonly rules: Pick<Rules, 'version' | 'statuses'> }
  readonly timeline: Pick<Timeline, 'add'>
}

export interface KeptRulesDeps {
  /** Name of the source of rules, at `/rules`. */
  readonly source: string
  readonly store: Store
  readonly scope: RuleStoreOptions
  readonly control: ToldControl
  readonly version: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: Pick<AdapterMetrics, 'count'>
  /** Hears all rules of the store, at first and after each change. */
  readonly onDocuments?: (documents: readonly RuleDocument[]) => void
}

export class KeptRules {
  readonly store: Store
  readonly catalog: Catalog
  readonly writes: RuleWrites
  readonly api: RulesApi
  private readonly ttl: TimeToLive
  private readonly deps: KeptRulesDeps
  private readonly sections: ApiSection[] = []
  private readonly listeners: StoreListener[] = []

  constructor(deps: KeptRulesDeps) {
    this.deps = deps
    const { clock, control, log, onDocuments, random, scope, source, store, version } = deps
    this.store = store
    this.catalog = new Catalog((documents) => {
      control.core.replaceRules(source, documents)
      onDocuments?.(documents)
    })
    const { catalog, sections } = this
    this.listeners.push(catalog)
    store.watch(everyListener(this.listeners))
    const check = (object: RuleObject): readonly RuleProblem[] => {
      const document = { name: 'object', text: JSON.stringify(object, undefined, 1) }
      const { statuses } = new RuleStore(scope).replaceSource('request', [document])
      return [
        ...statuses.flatMap(({ state, problems }) => (state === 'rejected' ? problems : [])),
        ...[ttlProblem(object)].flatMap((problem) => problem ?? []),
      ]
    }
    const onChange = (line: ChangeLine): void => this.changed(line)
    this.writes = new RuleWrites({ store, catalog, clock, uuid: randomUUID, check, onChange })
    this.ttl = new TimeToLive({ catalog, writes: this.writes, clock, log })
    const status = statusesOf(control.deps.rules, source)
    this.api = new RulesApi({ catalog, store, clock, random, version, status, sections, writes: this.writes })
  }

  /** This generation leads: what is over goes. */
  open(): void {
    this.ttl.open()
  }

  async close(): Promise<void> {
    this.ttl.close()
    await this.store.close()
  }

  /** Answers at the API, too. */
  serve(section: ApiSection): void {
    this.sections.push(section)
  }

  /** Hears what is in the store beside rules; to be called before the first turn of the loop is over. */
  listen(listener: StoreListener): void {
    this.listeners.push(listener)
  }

  /** A line of the audit, and an event, about a change that was written. */
  private changed(line: ChangeLine): void {
    const { control, log, metrics } = this.deps
    const { from, newRevision, oldRevision, resource, user, verb } = line
    metrics.count('rules_api_changes', { verb })
    log.info(
      { audit: line },
      `audit: ${user} from ${from}: ${verb} ${resource}, revision ${oldRevision} to ${newRevision}`,
    )
    control.timeline.add({
      kind: 'rule',
      about: aboutOf(resource),
      // a revert may have taken it away
      what: newRevision === 0 ? 'deleted' : 'written',
      message: `${user} from ${from}: ${verb}, revision ${oldRevision} to ${newRevision}`,
    })
  }
}

/** `virtualservices.networking.istio.io shop/orders` as other events of rules call it: by the kind. */
function aboutOf(resource: string): string {
  const [plural = '', name = ''] = resource.split(' ')
  const kind = apiKinds.find((one) => `${one.plural}.${one.group}` === plural)?.kind ?? plural
  return `${kind} ${name}`
}

/** By document; read once for each version of the rules. */
function statusesOf(rules: { readonly version: number; statuses(): readonly RuleStatus[] }, source: string) {
  let version = -1
  let found = new Map<string, RuleStatus>()
  return (document: string): RuleStatus | undefined => {
    if (rules.version !== version) {
      version = rules.version
      found = new Map(
        rules.statuses().flatMap((status) => (status.source === source ? [[status.document, status] as const] : [])),
      )
    }
    return found.get(document)
  }
}
