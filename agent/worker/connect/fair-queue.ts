/** Whoever waits in a `FairQueue`. The links belong to the queue. */
export interface Queued {
  /** Who it is for; callers take turns. */
  readonly callerKey: string
}

/**
 * First in, first out for each caller, and one after another between callers, so that a caller with a thousand waiting
 * requests does not make the next one wait behind all of them. Unbounded by itself: the limit on pending requests of
 * the cluster is asked before each `push`.
 */
export class FairQueue<T extends Queued> {
  size = 0
  /** Insertion order is turn order: a served caller goes to the end. */
  private readonly lines = new Map<string, T[]>()

  push(item: T): void {
    const line = this.lines.get(item.callerKey)
    if (line === undefined) this.lines.set(item.callerKey, [item])
    else line.push(item)
    this.size++
  }

  take(): T | undefined {
    for (const [key, line] of this.lines) {
      const item = line.shift()
      this.lines.delete(key)
      if (line.length > 0) this.lines.set(key, line)
      if (item === undefined) continue
      this.size--
      return item
    }
    return undefined
  }

  *all(): Generator<T> {
    for (const line of this.lines.values()) yield* line
  }

  /** False when it was not waiting. */
  remove(item: T): boolean {
    const line = this.lines.get(item.callerKey)
    const index = line === undefined ? -1 : line.indexOf(item)
    if (line === undefined || index < 0) return false
    line.splice(index, 1)
    if (line.length === 0) this.lines.delete(item.callerKey)
    this.size--
    return true
  }
}
