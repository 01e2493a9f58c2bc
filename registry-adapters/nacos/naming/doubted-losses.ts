/**
 * What the lists of one service lack while its servers are in trouble. Such an endpoint stays in use until its absence
 * is certain; everything else that a list says (new endpoints, weights, metadata) is used at once.
 */
import { endpointId } from '../../../contracts/endpoint.ts'
import type { Endpoint } from '../../../contracts/endpoint.ts'

export interface Merged {
  /** Sorted by id: the list, and what it lacks of the known endpoints, up to the bound. */
  readonly endpoints: readonly Endpoint[]
  /** How many began to be missed with this list. */
  readonly missed: number
  /** How many were missed and are in this list. */
  readonly returned: number
}

export class DoubtedLosses {
  /** When each was missed first, by id. */
  private readonly since = new Map<string, number>()

  get size(): number {
    return this.since.size
  }

  /** When the one that is missed longest was missed first. */
  get oldestSince(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const since of this.since.values()) oldest = Math.min(oldest, since)
    return oldest
  }

  /** How many of them are in a list. */
  countIn(ids: ReadonlySet<string>): number {
    let count = 0
    for (const id of this.since.keys()) if (ids.has(id)) count++
    return count
  }

  clear(): void {
    this.since.clear()
  }

  merge(known: readonly Endpoint[], list: readonly Endpoint[], now: number, maxEndpoints: number): Merged {
    const ids = new Set(list.map(endpointId))
    let returned = 0
    for (const id of this.since.keys()) {
      if (!ids.has(id)) continue
      this.since.delete(id)
      returned++
    }
    let missed = 0
    const kept: Endpoint[] = []
    for (const endpoint of known) {
      const id = endpointId(endpoint)
      if (ids.has(id) || list.length + kept.length >= maxEndpoints) continue
      kept.push(endpoint)
      if (this.since.has(id)) continue
      this.since.set(id, now)
      missed++
    }
    const endpoints = [...list, ...kept]
      .map((endpoint) => ({ endpoint, id: endpointId(endpoint) }))
      .sort((left, right) => (left.id < right.id ? -1 : left.id > right.id ? 1 : 0))
      .map(({ endpoint }) => endpoint)
    return { endpoints, missed, returned }
  }

  /** Forgets, and answers, those that have been missed since `before` at the latest and are not in `second`. */
  conclude(before: number, second: readonly Endpoint[]): ReadonlySet<string> {
    const present = new Set(second.map(endpointId))
    const gone = new Set<string>()
    for (const [id, since] of this.since) {
      if (since > before || present.has(id)) continue
      gone.add(id)
      this.since.delete(id)
    }
    return gone
  }
}
