/**
 * One process at a time takes datagrams from the sockets of a shard: two would tear the sessions of its callers apart.
 * The turn is the lock of a file, which the kernel gives free when its holder dies, however it dies. A worker that
 * hands its sessions over keeps the turn until the last of them has arrived.
 */
import { closeSync, openSync } from 'node:fs'

/** How often a turn is asked for that another process has, ms: at first, and after a second of it. */
const [askMs, laterMs] = [2, 25]
const eagerAsks = 500

export interface ReadTurnsDeps {
  /** Of a shard. */
  readonly file: (shard: number) => string
  /** Takes the lock of an open file, or answers false where another process has it. */
  readonly tryLock: (descriptor: number) => boolean
  readonly warn: (message: string) => void
}

interface Turn {
  readonly file: number
  isOurs: boolean
  timer: NodeJS.Timeout | undefined
  readonly waiting: Set<() => void>
}

export class ReadTurns {
  private readonly deps: ReadTurnsDeps
  private readonly turns = new Map<number, Turn>()

  constructor(deps: ReadTurnsDeps) {
    this.deps = deps
  }

  /** Calls back as soon as it is our turn, at once where it is. The answer takes the question back. */
  ask(shard: number, onTurn: () => void): () => void {
    let turn = this.turns.get(shard)
    if (turn === undefined) {
      const file = this.open(shard)
      if (file === undefined) {
        onTurn()
        return () => {}
      }
      turn = { file, isOurs: false, timer: undefined, waiting: new Set() }
      this.turns.set(shard, turn)
    }
    if (turn.isOurs || this.take(turn)) {
      onTurn()
      return () => {}
    }
    const { waiting } = turn
    waiting.add(onTurn)
    this.askLater(turn, 0)
    return () => waiting.delete(onTurn)
  }

  /** Others may have their turn. */
  leave(shard: number): void {
    const turn = this.turns.get(shard)
    if (turn === undefined) return
    clearTimeout(turn.timer)
    this.turns.delete(shard)
    closeSync(turn.file)
  }

  leaveAll(): void {
    for (const shard of this.turns.keys()) this.leave(shard)
  }

  private open(shard: number): number | undefined {
    const path = this.deps.file(shard)
    try {
      return openSync(path, 'a', 0o600)
    } catch (error) {
      this.deps.warn(`${path}: ${(error as Error).message}; datagrams are taken without waiting for a turn`)
      return undefined
    }
  }

  private take(turn: Turn): boolean {
    turn.isOurs = this.deps.tryLock(turn.file)
    return turn.isOurs
  }

  private askLater(turn: Turn, asks: number): void {
    if (turn.timer !== undefined && asks === 0) return
    turn.timer = setTimeout(
      () => {
        if (!this.take(turn)) {
          this.askLater(turn, asks + 1)
          return
        }
        turn.timer = undefined
        const waiting = [...turn.waiting]
        turn.waiting.clear()
        for (const onTurn of waiting) onTurn()
      },
      asks < eagerAsks ? askMs : laterMs,
    )
    turn.timer.unref()
  }
}
