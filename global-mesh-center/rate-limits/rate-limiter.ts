/** What a center says about a question of Envoy's rate-limit protocol. It counts by itself, in memory. */
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import {
  descriptorKey,
  type DescriptorStatus,
  type RateLimitAnswer,
  type RateLimitDescriptor,
  type RateLimitQuestion,
} from '../../contracts/rate-limit-wire.ts'
import { every } from '../../contracts/clock.ts'
import { AskingHosts } from './asking-hosts.ts'
import { LimitTree } from './limit-tree.ts'
import type { RateLimitsSection } from './section.ts'

/** Of one question. */
const maxDescriptors = 100
const maxEntries = 64
const gaugeMs = 1000
const unlimited = 0xff_ff_ff_ff

export interface Judgement extends Pick<RateLimitAnswer, 'code' | 'statuses'> {
  /** That asked about the domain of late; undefined: it is not known here. */
  readonly hosts: number | undefined
}

export class RateLimiter {
  private readonly tree: LimitTree
  private readonly deps: Pick<AdapterDeps, 'clock' | 'metrics'>
  private readonly hosts = new Map<string, AskingHosts>()
  private readonly stop: () => void
  private forgotten = 0

  constructor(section: RateLimitsSection, deps: Pick<AdapterDeps, 'clock' | 'metrics'>) {
    this.tree = new LimitTree(section)
    this.deps = deps
    for (const { domain } of section.domains) this.hosts.set(domain, new AskingHosts())
    this.stop = every(deps.clock, gaugeMs, () => this.count())
  }

  close(): void {
    this.stop()
  }

  /** `host`: who asks. Every descriptor is counted, whatever the others come to. Throws a RangeError for too much. */
  judge({ descriptors, domain, hitsAddend }: RateLimitQuestion, host: string): Judgement {
    if (domain === '' || descriptors.length === 0) throw new RangeError('a question has a domain and a descriptor')
    if (descriptors.length > maxDescriptors || descriptors.some(({ entries }) => entries.length > maxEntries))
      throw new RangeError(`more than ${maxDescriptors} descriptors, or than ${maxEntries} entries of one`)
    const { clock, metrics } = this.deps
    const now = clock.wall()
    const statuses = descriptors.map((one) => this.status(domain, one, one.hitsAddend ?? hitsAddend, now))
    const code = statuses.some((one) => one.code === 'over-limit') ? 'over-limit' : 'ok'
    metrics.count('ratelimit_questions', {
      domain: this.tree.has(domain) ? domain : 'other',
      code: code === 'ok' ? 'ok' : 'over_limit',
    })
    return { code, statuses, hosts: this.hosts.get(domain)?.asked(host, clock.monotonic()) }
  }

  private status(domain: string, { entries }: RateLimitDescriptor, hits: number, now: number): DescriptorStatus {
    const found = this.tree.find(domain, entries)
    if (found?.limit === undefined)
      return { code: 'ok', limit: undefined, remaining: found === undefined ? 0 : unlimited, resetMs: 0 }
    const { counters, isShadow, limit } = found
    const counted = counters.add(descriptorKey(entries), hits, limit.windowMs, now)
    const isOver = counted > limit.requestsPerUnit
    if (isOver && isShadow) this.deps.metrics.count('ratelimit_shadowed', { domain })
    return {
      code: isOver && !isShadow ? 'over-limit' : 'ok',
      limit,
      remaining: Math.max(0, limit.requestsPerUnit - counted),
      resetMs: limit.windowMs - (now % limit.windowMs),
    }
  }

  private count(): void {
    const { metrics } = this.deps
    let kept = 0
    let forgotten = 0
    for (const one of this.tree.counters) {
      kept += one.size
      forgotten += one.forgotten
    }
    metrics.gauge('ratelimit_counters', {}, kept)
    if (forgotten > this.forgotten) metrics.count('ratelimit_counters_forgotten', {}, forgotten - this.forgotten)
    this.forgotten = forgotten
  }
}
