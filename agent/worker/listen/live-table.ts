import type { Movable } from './movable.ts'

/** Looked at for one that rests, each time that room is needed; of how many it is asked who their caller is. */
const looksForRoom = 64
const questionsForRoom = 8

/** Every live connection of the worker, so that a drain or a hot restart finds it. */
export class LiveTable {
  onNew: ((connection: Movable) => void) | null = null
  /** How many there were at the last `takeActive`. */
  active = 0
  private readonly connections = new Set<Movable>()
  private last = 0

  get size(): number {
    return this.connections.size
  }

  nextId(): number {
    return ++this.last
  }

  add(connection: Movable): void {
    this.connections.add(connection)
    this.onNew?.(connection)
  }

  remove(connection: Movable): void {
    this.connections.delete(connection)
  }

  /**
   * Closes one connection that rests, so that a new one can be taken; false when none was found. Goes on where the last
   * look ended: whoever keeps the most resting connections gives the most. `mayGive`: costs a question to the kernel.
   */
  makeRoom(mayGive?: (connection: Movable) => boolean): boolean {
    let looks = Math.min(looksForRoom, this.connections.size)
    let questions = questionsForRoom
    for (const connection of this.connections) {
      if (looks-- === 0) break
      // behind all others for the next look; an iterator that is kept for it keeps everything that the set drops
      this.connections.delete(connection)
      this.connections.add(connection)
      if (!connection.isIdle) continue
      if (mayGive !== undefined && (questions-- === 0 || !mayGive(connection))) continue
      connection.abort()
      return true
    }
    return false
  }

  /** See `LiveConnections.takeActive`. */
  takeActive(): Movable[] {
    const found = this.list().filter((connection) => connection.takeActivity())
    this.active = found.length
    return found
  }

  all(): Iterable<Movable> {
    return this.connections
  }

  list(): Movable[] {
    return [...this.connections]
  }
}
