/**
 * Instances that do not answer while their host is silent, and what subscribers are told of them: they are unhealthy,
 * but never so many that less than the protected share of a service is left.
 */
import { endpointId, type Endpoint } from '../../contracts/endpoint.ts'

export class UnhealthyInstances {
  private ids: ReadonlySet<string> = new Set()
  private readonly listeners = new Set<() => void>()

  get size(): number {
    return this.ids.size
  }

  has(id: string): boolean {
    return this.ids.has(id)
  }

  all(): string[] {
    return [...this.ids].toSorted()
  }

  replace(ids: ReadonlySet<string>): void {
    if (ids.size === this.ids.size && [...ids].every((id) => this.ids.has(id))) return
    this.ids = new Set(ids)
    for (const listener of this.listeners) listener()
  }

  onChange(listener: () => void): void {
    this.listeners.add(listener)
  }
}

export interface Judged {
  readonly endpoints: readonly Endpoint[]
  /** Do not answer, and stay healthy because too few would be left. */
  readonly spared: number
}

/** `share`: 0..1 of a service that stays healthy whatever is found. Pure. */
export function withUnhealthy(
  endpoints: readonly Endpoint[],
  unhealthy: Pick<UnhealthyInstances, 'has' | 'size'>,
  share: number,
): Judged {
  if (unhealthy.size === 0) return { endpoints, spared: 0 }
  const healthy = endpoints.filter((endpoint) => endpoint.healthy && endpoint.enabled)
  const found = healthy.filter((endpoint) => unhealthy.has(endpointId(endpoint)))
  if (found.length === 0) return { endpoints, spared: 0 }
  const most = Math.max(0, healthy.length - Math.ceil(endpoints.length * share))
  const marked = new Set(found.slice(0, most))
  return {
    endpoints: endpoints.map((endpoint) => (marked.has(endpoint) ? { ...endpoint, healthy: false } : endpoint)),
    spared: found.length - marked.size,
  }
}
