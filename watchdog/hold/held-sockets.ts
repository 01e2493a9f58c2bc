/**
 * The listening sockets of the host: one copy of each shard, so that a crash of any worker, or of all, never closes
 * one. The accept queue of a held socket goes on growing while nobody accepts; a new worker, a neighbour or the relay
 * empties it.
 */
import type { ShardName } from '../../contracts/handoff.ts'
import type { Native } from '../../native/descriptors.ts'

/** More shards than any host needs (1,000 services × 8 workers); further ones are refused and logged by the caller. */
export const maxHeldShards = 16_384

export interface HeldSocket {
  readonly shard: ShardName
  readonly descriptor: number
  /**
   * Opened by the service manager, as another user: no worker can bind a share of its own beside it, so all of them
   * accept on this one.
   */
  readonly isForAll: boolean
}

export interface HeldSocketsDeps {
  readonly native: Native
  /** For systemd's descriptor store; called for each kept or dropped socket. */
  readonly onKeep: (held: HeldSocket) => void
  readonly onDrop: (held: HeldSocket) => void
}

export function shardKey(shard: ShardName): string {
  return `${shard.name}#${shard.shard}`
}

export class HeldSockets {
  private readonly deps: HeldSocketsDeps
  private readonly sockets = new Map<string, HeldSocket>()

  constructor(deps: HeldSocketsDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.sockets.size
  }

  /**
   * Keeps a descriptor that is now ours. An earlier copy of the same shard is closed. False: the bound is reached, and
   * it was closed.
   */
  keep(shard: ShardName, descriptor: number, isForAll = false): boolean {
    const key = shardKey(shard)
    const earlier = this.sockets.get(key)
    if (earlier === undefined && this.sockets.size >= maxHeldShards) {
      this.deps.native.close(descriptor)
      return false
    }
    // systemd passes the socket of the unit and our copy of it
    const isEarlierForAll = earlier?.isForAll === true && this.has(shard)
    if (earlier !== undefined) this.drop(earlier.shard)
    const held = { shard, descriptor, isForAll: isForAll || isEarlierForAll }
    this.sockets.set(key, held)
    this.deps.onKeep(held)
    return true
  }

  has(shard: ShardName): boolean {
    const held = this.sockets.get(shardKey(shard))
    return held !== undefined && held.shard.address === shard.address && held.shard.port === shard.port
  }

  /** At this address and port: what has taken its place meanwhile stays. */
  drop(shard: ShardName): void {
    const held = this.sockets.get(shardKey(shard))
    if (held === undefined || !this.has(shard)) return
    this.sockets.delete(shardKey(shard))
    this.deps.onDrop(held)
    this.deps.native.close(held.descriptor)
  }

  /**
   * Shards of worker `index` among `workers`: with fewer workers than before each takes several, so that none is
   * orphaned. One that is for all is also a shard of each worker that has none of its name.
   */
  of(index: number, workers: number): HeldSocket[] {
    return [...this.sockets.values()].flatMap((held) => {
      if (held.shard.shard % workers === index) return [held]
      const shard = { ...held.shard, shard: index }
      return held.isForAll && !this.sockets.has(shardKey(shard)) ? [{ ...held, shard }] : []
    })
  }

  all(): HeldSocket[] {
    return [...this.sockets.values()]
  }

  closeAll(): void {
    for (const held of this.sockets.values()) this.deps.native.close(held.descriptor)
    this.sockets.clear()
  }
}
