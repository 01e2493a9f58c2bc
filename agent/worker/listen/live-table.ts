import type { Movable } from './movable.ts'

/** Every live connection of the worker, so that a drain or a hot restart finds it. */
export class LiveTable {
  onNew: ((connection: Movable) => void) | null = null
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

  all(): Iterable<Movable> {
    return this.connections
  }

  list(): Movable[] {
    return [...this.connections]
  }
}
