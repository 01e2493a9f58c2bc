/** How rules stand: what `/rules` answers, and the API of rules. */

/** Where and what. `line` and `column` start at 1 and are positions in the document. */
export interface RuleProblem {
  /** Path inside the resource, `spec.http[0].timeout`; empty for the whole resource. */
  readonly path: string
  readonly line: number
  readonly column: number
  /** Lower case, found against allowed. */
  readonly message: string
}

/**
 * `applied`: this version is in force.
 * `conflict`: valid, but for all of its hosts another resource decides (named in `problems`).
 * `overridden`: the same, and it is meant to be so: the other one is what this host alone was told, or says the same.
 * `rejected`: this version has problems; `inForce` tells whether an earlier good one stays.
 */
export type RuleState = 'applied' | 'conflict' | 'overridden' | 'rejected'

/** Whether somebody has to do something about it. */
export function isRuleFault(state: RuleState): boolean {
  return state === 'conflict' || state === 'rejected'
}

export interface RuleStatus {
  readonly source: string
  readonly document: string
  /** First line of the resource in its document. */
  readonly line: number
  /** As written; empty where it could not be read. */
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly state: RuleState
  /**
   * Whether some version of this resource decides about traffic now: always for `applied`, the last good one for
   * `rejected`.
   */
  readonly inForce: boolean
  /** For `applied`: hosts or fields for which another resource decides. */
  readonly problems: readonly RuleProblem[]
}
