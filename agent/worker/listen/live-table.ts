import type { Movable } from './movable.ts'

/** Looked at for one that rests, each time that room is needed. */
const looksForRoom = 64

/** Every live connection of the worker, so that a drain or a hot restart finds it. */
export class LiveTable {
  onNew: ((connection: Movable) => void) | null = null
  /** How many there were at the last `takeActive`. */
  active = 0
  private readonly connections = new Set<Movable>()
  private last = 0
  private nextLook: Iterator<Movable> | null = null

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
   * look ended: whoever keeps the most resting connections gives the most.
   */
  makeRoom(): boolean {
    for (let looks = 0; looks < looksForRoom; looks++) {
      this.nextLook ??= this.connections.values()
      const { done, value } = this.nextLook.next()
      if (done === true) {
        this.nextLook = null
        if (this.connections.size <= looks) return false
      } else if (value.isIdle) {
        value.abort()
        return true
      }
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
