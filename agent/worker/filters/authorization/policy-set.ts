/** The policies of a virtual host, ready to be asked: DENY goes before ALLOW, and AUDIT decides nothing. */
import type {
  AuthorizationAction,
  AuthorizationPolicySpec,
  AuthorizationRuleSpec,
  AuthorizationSpec,
} from '../../../../contracts/authorization-spec.ts'
import type { DecisionCounts, PolicyTally } from './decision-counts.ts'
import { connectionRule } from './rule.ts'
import { RuleIndex } from './rule-index.ts'
import { Subject } from './subject.ts'

/** What a policy has to do with a request. */
export interface Finding {
  readonly action: AuthorizationAction
  readonly isDryRun: boolean
  /** The rule that matched; undefined where no ALLOW did. */
  readonly match: RuleMatch | undefined
}

export interface RuleMatch {
  readonly policy: AuthorizationPolicySpec
  /** Place in the policy. */
  readonly rule: number
}

export interface Judgement {
  readonly isAllowed: boolean
  /** What decided; undefined where nothing is asked of anybody. */
  readonly decisive: Finding | undefined
  /** Of AUDIT and of policies that are only tried. */
  readonly notes: readonly Finding[]
}

interface Group {
  readonly action: AuthorizationAction
  readonly isDryRun: boolean
  readonly index: RuleIndex
  /** By place of the rule in the index. */
  readonly matches: readonly RuleMatch[]
}

const noNotes: readonly Finding[] = []
const open: Judgement = { isAllowed: true, decisive: undefined, notes: noNotes }

export class PolicySet {
  readonly subject: Subject
  private readonly deny: Group | undefined
  private readonly allow: Group | undefined
  private readonly tried: readonly Group[]
  private readonly counts: DecisionCounts
  /** The judgement without notes, by what decided: most requests share a few. */
  private readonly known = new Map<RuleMatch | undefined, Judgement>()
  private readonly tallies = new Map<AuthorizationPolicySpec, PolicyTally>()

  constructor(spec: AuthorizationSpec, isTcp: boolean, counts: DecisionCounts) {
    const group = (action: AuthorizationAction, isDryRun: boolean): Group | undefined =>
      groupOf(spec.policies, action, isDryRun, isTcp)
    this.subject = new Subject(spec)
    this.counts = counts
    this.deny = group('DENY', false)
    this.allow = group('ALLOW', false)
    this.tried = [group('AUDIT', false), group('DENY', true), group('ALLOW', true), group('AUDIT', true)].filter(
      (one) => one !== undefined,
    )
  }

  /** About `subject`, as it was filled. Counts nothing. */
  judge(): Judgement {
    const decided = this.decide()
    if (this.tried.length === 0) return decided
    const notes = this.tried.flatMap((group) => finding(group, this.subject) ?? [])
    return notes.length === 0 ? decided : { ...decided, notes }
  }

  private decide(): Judgement {
    const { allow, deny, subject } = this
    if (deny !== undefined) {
      const at = deny.index.find(subject)
      if (at >= 0) return this.remembered(false, 'DENY', deny.matches[at])
    }
    if (allow === undefined) return open
    const at = allow.index.find(subject)
    return this.remembered(at >= 0, 'ALLOW', at < 0 ? undefined : allow.matches[at])
  }

  /** Adds a judgement to the counts. */
  count({ decisive, isAllowed, notes }: Judgement): void {
    if (decisive !== undefined) {
      const tally = this.tallyOf(decisive)
      if (isAllowed) tally.allowed++
      else tally.denied++
    }
    for (const note of notes) {
      const tally = this.tallyOf(note)
      if (note.action === 'AUDIT') tally.audited++
      else if (note.action === 'ALLOW' && note.match !== undefined) tally.wouldAllow++
      else tally.wouldDeny++
    }
  }

  private tallyOf({ match }: Finding): PolicyTally {
    if (match === undefined) return this.counts.none
    const { policy } = match
    let tally = this.tallies.get(policy)
    if (tally === undefined) {
      tally = this.counts.tally(`${policy.namespace}/${policy.name}`)
      this.tallies.set(policy, tally)
    }
    return tally
  }

  private remembered(isAllowed: boolean, action: AuthorizationAction, match: RuleMatch | undefined): Judgement {
    let judgement = this.known.get(match)
    if (judgement === undefined) {
      judgement = { isAllowed, decisive: { action, isDryRun: false, match }, notes: noNotes }
      this.known.set(match, judgement)
    }
    return judgement
  }
}

function finding(group: Group, subject: Subject): Finding | undefined {
  const at = group.index.find(subject)
  const { action, isDryRun } = group
  if (at >= 0) return { action, isDryRun, match: group.matches[at] }
  return action === 'ALLOW' ? { action, isDryRun, match: undefined } : undefined
}

function groupOf(
  policies: readonly AuthorizationPolicySpec[],
  action: AuthorizationAction,
  isDryRun: boolean,
  isTcp: boolean,
): Group | undefined {
  const isWide = action !== 'ALLOW'
  const own = policies.filter((one) => one.action === action && (one.isDryRun === true) === isDryRun)
  if (own.length === 0) return undefined
  const rules: AuthorizationRuleSpec[] = []
  const matches: RuleMatch[] = []
  for (const policy of own) {
    for (const [rule, spec] of policy.rules.entries()) {
      const made = isTcp ? connectionRule(spec, isWide) : spec
      if (made === null) continue
      rules.push(made)
      matches.push({ policy, rule })
    }
  }
  return { action, isDryRun, index: new RuleIndex(rules, isWide), matches }
}
