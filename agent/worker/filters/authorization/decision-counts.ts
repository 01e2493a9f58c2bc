/** How often each policy decided what: `hostmesh_authorization_total{policy,decision}`. */
import { NamedTallies } from '../named-tallies.ts'

type Decision = 'allowed' | 'denied' | 'audited' | 'wouldAllow' | 'wouldDeny'
export type PolicyTally = Record<Decision, number>

export class DecisionCounts extends NamedTallies<Decision> {
  /** Of requests that no policy allowed. */
  readonly none: PolicyTally

  constructor() {
    super([
      ['allowed', 'allowed'],
      ['denied', 'denied'],
      ['audited', 'audited'],
      ['wouldAllow', 'would-allow'],
      ['wouldDeny', 'would-deny'],
    ])
    this.none = this.tally('none')
  }
}
