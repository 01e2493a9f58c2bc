import type { StatSeries } from '../../../contracts/control-link.ts'
import { CallerAccount } from './caller-account.ts'

export const maxAccounts = 256
const others = 'other'

/**
 * The callers of this worker that were ever asked for: telling them apart costs a question to the kernel, so a
 * connection asks when it is refused or when places become few, and keeps the answer. Bound: 256; then the one that was
 * opened first goes, and its counts are those of `other` from then on.
 */
export class CallerAccounts {
  private readonly accounts = new Map<string, CallerAccount>()
  private readonly forgotten = new CallerAccount(others)

  of(name: string): CallerAccount {
    let account = this.accounts.get(name)
    if (account === undefined) {
      if (this.accounts.size >= maxAccounts) this.forgetFirst()
      account = new CallerAccount(name)
      this.accounts.set(name, account)
    }
    return account
  }

  series(): StatSeries[] {
    const all = [...this.accounts.values(), this.forgotten]
    const counter = (name: string, help: string, value: (account: CallerAccount) => number): StatSeries => ({
      name,
      kind: 'counter',
      help,
      labelNames: ['caller'],
      samples: all.map((one) => ({ labels: [one.name], value: value(one) })).filter(({ value: count }) => count > 0),
    })
    return [
      counter('hostmesh_caller_refusals_total', 'Answers of the mesh that refused a caller', (one) => one.refusals),
      counter('hostmesh_caller_slowed_total', 'Those that were held back, by caller', (one) => one.slowed),
      counter('hostmesh_caller_waits_total', 'Requests that waited for the turn of their caller', (one) => one.waits),
    ]
  }

  private forgetFirst(): void {
    for (const [name, account] of this.accounts) {
      this.forgotten.refusals += account.refusals
      this.forgotten.slowed += account.slowed
      this.forgotten.waits += account.waits
      this.accounts.delete(name)
      return
    }
  }
}
