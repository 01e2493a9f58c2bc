import type { Movable } from './movable.ts'

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
