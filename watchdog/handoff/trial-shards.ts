/**
 * What a generation that does not serve yet changes of the held sockets: what it brings goes with it when it fails, and
 * what it does not want stays the serving one's until it serves itself.
 */
import type { ShardName } from '../../contracts/handoff.ts'
import { shardKey } from '../hold/held-sockets.ts'
import type { HeldSockets } from '../hold/held-sockets.ts'
import type { Generation } from '../supervise/generation.ts'
import type { ProcessTree } from '../supervise/tree.ts'

export class TrialShards {
  private readonly tree: Pick<ProcessTree, 'current' | 'next'>
  private readonly held: Pick<HeldSockets, 'has' | 'drop'>
  /** Nobody held them before. Both by key, and of one generation: one is started at a time. */
  private readonly brought = new Map<string, ShardName>()
  private readonly unwanted = new Map<string, ShardName>()

  constructor(tree: Pick<ProcessTree, 'current' | 'next'>, held: Pick<HeldSockets, 'has' | 'drop'>) {
    this.tree = tree
    this.held = held
  }

  /** Before they are held. What the serving generation brings, too, is not the new one's alone. */
  onDeposit(generation: Generation, shards: readonly ShardName[]): void {
    const isNext = generation === this.tree.next
    for (const shard of shards) {
      const key = shardKey(shard)
      if (!isNext) this.brought.delete(key)
      else if (!this.held.has(shard)) this.brought.set(key, shard)
      if (isNext) this.unwanted.delete(key)
    }
  }

  /**
   * Listeners left the configuration of a generation, or it was given sockets of others. One that drains has no say.
   */
  withdraw(generation: Generation, shards: readonly ShardName[]): void {
    const { current, next } = this.tree
    for (const shard of shards) {
      const key = shardKey(shard)
      const isAlone = current === undefined && generation === next
      if (isAlone || (generation === current && !this.brought.has(key))) this.held.drop(shard)
      else if (generation === next && this.held.has(shard)) this.unwanted.set(key, shard)
    }
  }

  /** The new generation has become the current one: a socket that it does not read is a queue that nobody reads. */
  onServing(): void {
    for (const shard of this.unwanted.values()) this.held.drop(shard)
    this.clear()
  }

  /** It has ended. Without another one what it brought stays, for the relay and the next one. */
  onFailed(): void {
    if (this.tree.current !== undefined) for (const shard of this.brought.values()) this.held.drop(shard)
    this.clear()
  }

  private clear(): void {
    this.brought.clear()
    this.unwanted.clear()
  }
}
