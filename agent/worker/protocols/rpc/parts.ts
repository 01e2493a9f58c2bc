import { HeldBudget } from '../../../../rpc/held-budget.ts'
import { RpcCodecs } from './codecs.ts'
import type { RpcDeps } from './deps.ts'
import { maxHeldBytes } from './limits.ts'
import { RpcNames } from './rpc-names.ts'

/** The parts that all connections of a worker in private RPC share. */
export function rpcParts(
  given: Pick<RpcDeps, 'clock' | 'outputs' | 'tallies' | 'warn' | 'wheel'>,
): RpcDeps & { readonly codecs: RpcCodecs } {
  return { ...given, budget: new HeldBudget(maxHeldBytes), names: new RpcNames(), codecs: new RpcCodecs() }
}
