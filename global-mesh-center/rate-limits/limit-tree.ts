/**
 * Finds the limit of a descriptor, as Envoy's ratelimit service does: entry by entry, one with the value before one
 * without, and only a limit that stands at the last entry.
 */
import { unitMs, type DescriptorEntry, type NamedLimit } from '../../contracts/rate-limit-wire.ts'
import { Counters } from './counters.ts'
import type { DescriptorSection, RateLimitsSection } from './section.ts'

export interface FoundLimit {
  /** undefined = as much as anybody wants. */
  readonly limit: (NamedLimit & { readonly windowMs: number }) | undefined
  /** What is beyond it is counted, and passes. */
  readonly isShadow: boolean
  readonly counters: Counters
}

interface Node {
  readonly found: FoundLimit | undefined
  readonly inner: ReadonlyMap<string, Node>
}

export class LimitTree {
  private readonly domains: ReadonlyMap<string, Node>
  /** Of every limit. */
  readonly counters: readonly Counters[]

  constructor({ domains, maxCounters }: RateLimitsSection) {
    const free = domains.reduce((sum, { descriptors }) => sum + openLimits(descriptors, false), 0)
    // those with all their values have one counter each
    const bound = Math.max(1, Math.floor(maxCounters / Math.max(1, free)))
    const made: Counters[] = []
    const nodes = (list: readonly DescriptorSection[], isOpen: boolean): ReadonlyMap<string, Node> =>
      new Map(list.map((one) => [nodeKey(one.key, one.value), node(one, isOpen || one.value === undefined)]))
    const node = (one: DescriptorSection, isOpen: boolean): Node => {
      const found = one.rate_limit === undefined ? undefined : foundLimit(one, new Counters(isOpen ? bound : 1))
      if (found !== undefined) made.push(found.counters)
      return { found, inner: nodes(one.descriptors ?? [], isOpen) }
    }
    this.domains = new Map(
      domains.map(({ descriptors, domain }) => [domain, { found: undefined, inner: nodes(descriptors, false) }]),
    )
    this.counters = made
  }

  has(domain: string): boolean {
    return this.domains.has(domain)
  }

  find(domain: string, entries: readonly DescriptorEntry[]): FoundLimit | undefined {
    let node = this.domains.get(domain)
    for (const { key, value } of entries) {
      node = node?.inner.get(nodeKey(key, value)) ?? node?.inner.get(nodeKey(key, undefined))
      if (node === undefined) return undefined
    }
    return node?.found
  }
}

function openLimits(list: readonly DescriptorSection[], isOpen: boolean): number {
  return list.reduce((sum, { descriptors = [], rate_limit, value }) => {
    const opens = isOpen || value === undefined
    return sum + (opens && rate_limit !== undefined ? 1 : 0) + openLimits(descriptors, opens)
  }, 0)
}

function foundLimit({ rate_limit, shadow_mode = false }: DescriptorSection, counters: Counters): FoundLimit {
  const { name = '', requests_per_unit, unit } = rate_limit!
  const limit =
    unit === undefined || requests_per_unit === undefined
      ? undefined
      : { requestsPerUnit: requests_per_unit, unit, name, windowMs: unitMs[unit] }
  return { limit, isShadow: shadow_mode, counters }
}

function nodeKey(key: string, value: string | undefined): string {
  return value === undefined ? JSON.stringify([key]) : JSON.stringify([key, value])
}
