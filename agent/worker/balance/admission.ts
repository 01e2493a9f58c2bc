/**
 * Limits on what one destination may hold of this worker beside its requests (`gate.ts`): connections, pending
 * requests, and retries.
 *
 * Why: a slow service must not eat the sockets and memory that the others need; refusing at once is cheaper for
 * everybody than queueing without end. When it trips: the moment a count is at its limit (`pool.maxConnections`,
 * `maxPending`); each refusal is counted, and a refused request is answered 503 with flag UO. Limits are
 * per worker process, as Envoy's are per proxy. Retries: with a budget, at most `share` of the active requests, and
 * never fewer than `minimumConcurrency`, may be retries; a fixed number would be too much for a quiet service and too
 * little for a busy one. The budget replaces `pool.maxRetries`, as in Envoy; without one that limit holds. Recovery: as
 * soon as something ends. Cold start: counts begin at zero; the minimum concurrency lets a quiet service retry.
 */
import type { ConnectionPoolSpec, RetryBudgetSpec } from '../../../contracts/policy-spec.ts'
import type { ClusterNumbers } from './types.ts'

export class Admission {
  private readonly numbers: ClusterNumbers
  private pool: ConnectionPoolSpec
  private budget: RetryBudgetSpec | undefined

  constructor(numbers: ClusterNumbers, pool: ConnectionPoolSpec, budget: RetryBudgetSpec | undefined) {
    this.numbers = numbers
    this.pool = pool
    this.budget = budget
  }

  /** What is already admitted stays; a lower limit holds from the next one on. */
  renew(pool: ConnectionPoolSpec, budget: RetryBudgetSpec | undefined): void {
    this.pool = pool
    this.budget = budget
  }

  tryConnection(): boolean {
    if (this.numbers.connections < this.pool.maxConnections) {
      this.numbers.connections++
      return true
    }
    this.numbers.connectionOverflows++
    return false
  }

  tryPending(): boolean {
    if (this.numbers.pendingRequests < this.pool.maxPending) {
      this.numbers.pendingRequests++
      return true
    }
    this.numbers.pendingOverflows++
    return false
  }

  tryRetry(): boolean {
    if (this.numbers.activeRetries < this.retryLimit()) {
      this.numbers.activeRetries++
      return true
    }
    this.numbers.retryOverflows++
    return false
  }

  private retryLimit(): number {
    if (this.budget === undefined) return this.pool.maxRetries
    const share = this.budget.share * this.numbers.activeRequests
    return share > this.budget.minimumConcurrency ? share : this.budget.minimumConcurrency
  }
}
