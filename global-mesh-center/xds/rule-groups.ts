/**
 * Rules for hosts, by the roll-out that a host belongs to: all get the rules of the store, and the share of a roll-out
 * one of them in its new version. What is the same for both is the same resource for them.
 */
import type { RuleStoreOptions } from '../../agent/control/core/rules/rule-store.ts'
import type { RuleDocument } from '../../agent/control/core/rules/types.ts'
import { typeUrls } from '../../registry-adapters/center/wire/delta.ts'
import { AgentRules, type RulesView } from './agent-rules.ts'
import { Resources } from './resources.ts'

/** A rule that a share of the hosts gets instead of the one of its name. */
export interface CandidateRule {
  /** Of the roll-out; another text is another name. */
  readonly id: string
  readonly hosts: ReadonlySet<string>
  readonly document: RuleDocument
}

interface Group {
  readonly candidate: CandidateRule | undefined
  readonly rules: AgentRules
  readonly resources: Resources
}

export class RuleGroups {
  private readonly scope: RuleStoreOptions
  private readonly onRegroup: () => void
  private readonly everybody: Group
  private readonly shares = new Map<string, Group>()
  /** undefined = the store has not been read yet. */
  private documents: readonly RuleDocument[] | undefined
  private candidates: readonly CandidateRule[] = []
  /** The newest documents are read: a host that changes its group does not see older ones. */
  private read: Promise<unknown> = Promise.resolve()

  constructor(scope: RuleStoreOptions, onRegroup: () => void) {
    this.scope = scope
    this.onRegroup = onRegroup
    this.everybody = this.group(undefined)
  }

  /** The rules of the store, whatever is being rolled out. */
  get forAll(): RulesView {
    return this.everybody.rules
  }

  /** What this host gets. One that belongs to two roll-outs gets the first of them. */
  of(node: string): Resources {
    for (const { candidate, resources } of this.shares.values()) if (candidate!.hosts.has(node)) return resources
    return this.everybody.resources
  }

  replaceDocuments(documents: readonly RuleDocument[]): void {
    this.documents = documents
    this.read = Promise.all([this.everybody, ...this.shares.values()].map((group) => this.fill(group)))
  }

  replaceCandidates(candidates: readonly CandidateRule[]): void {
    this.candidates = candidates
    void this.read.then(() => this.share())
  }

  private share(): void {
    const { candidates } = this
    const wanted = new Map(candidates.map((candidate) => [candidate.id, candidate]))
    const gone = [...this.shares.keys()].filter((id) => !wanted.has(id))
    const added = candidates.filter(({ id }) => !this.shares.has(id))
    if (gone.length === 0 && added.length === 0) return
    for (const id of gone) this.shares.delete(id)
    for (const candidate of added) {
      const group = this.group(candidate)
      this.shares.set(candidate.id, group)
      void this.fill(group)
    }
    this.onRegroup()
  }

  private group(candidate: CandidateRule | undefined): Group {
    const rules = new AgentRules(this.scope)
    return { candidate, rules, resources: new Resources(typeUrls.rules, rules) }
  }

  private fill({ candidate, rules }: Group): Promise<void> {
    const { documents } = this
    if (documents === undefined) return Promise.resolve()
    const own = candidate?.document
    return rules.replace(own === undefined ? documents : [...documents.filter(({ name }) => name !== own.name), own])
  }
}
