import type { HeldBudget } from '../../../../rpc/held-budget.ts'
import type { CallerAccount } from '../../callers/caller-account.ts'
import type { Accepted } from '../../listen/accepted.ts'
import type { LiveTable } from '../../listen/live-table.ts'
import type { Tallies } from '../../observe/tallies.ts'
import type { Clock } from '../../transport/clock.ts'
import type { OutputPool } from '../../transport/output-pool.ts'
import type { TimerWheel } from '../../transport/timer-wheel.ts'
import type { Transport } from '../../transport/transport.ts'
import type { RpcNames } from './rpc-names.ts'

/** What both sides of private RPC need of their worker. */
export interface RpcDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly outputs: OutputPool
  readonly budget: HeldBudget
  readonly names: RpcNames
  readonly tallies: Tallies
  /** For people who look for the cause: one line per connection that is given up. */
  readonly warn: (message: string) => void
}

/** What the caller's side needs beside it. */
export interface RpcConnectionDeps extends RpcDeps {
  readonly live: LiveTable
  /** Whose share of the worker's bounds a connection uses. */
  readonly accountOf: (accepted: Accepted, transport: Transport) => CallerAccount
}
