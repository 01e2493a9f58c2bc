/**
 * Dense numbers for routes, for typed-array counters. A route keeps its number as long as a route of that virtual host
 * and name exists; numbers of routes that are gone are given out again, so that the highest number stays near the
 * count.
 */
export class RouteIds {
  private readonly byKey = new Map<string, number>()
  private readonly free: number[] = []
  private next = 0

  /** The number of this route, a new one if it has none. */
  take(virtualHost: string, route: string): number {
    const key = keyOf(virtualHost, route)
    const known = this.byKey.get(key)
    if (known !== undefined) return known
    const id = this.free.pop() ?? this.next++
    this.byKey.set(key, id)
    return id
  }

  release(virtualHost: string, route: string): void {
    const key = keyOf(virtualHost, route)
    const id = this.byKey.get(key)
    if (id === undefined) return
    this.byKey.delete(key)
    this.free.push(id)
  }

  /** Every number is below this. */
  get capacity(): number {
    return this.next
  }
}

function keyOf(virtualHost: string, route: string): string {
  return `${virtualHost}\n${route}`
}
