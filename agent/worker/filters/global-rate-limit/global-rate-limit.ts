/**
 * Limits that hosts share: the descriptors of a request are asked about at a rate-limit service, whose word decides.
 * What services said outlives the filters, since a change of rules is no way around a limit.
 */
import { headers } from '../../../../contracts/words.ts'
import type { FilterSpec } from '../../../../contracts/route-spec.ts'
import type { RequestView } from '../../route/request-view.ts'
import type { Filter, FilterContext, FilterVerdict, StatefulFilter } from '../filter.ts'
import type { FilterKind } from '../kind.ts'
import { descriptorsOf, type Descriptors } from './descriptors.ts'
import { percent, RateLimitService, type LimitDeps } from './rate-limit-service.ts'

type Entry = Extract<FilterSpec, { kind: 'global-rate-limit' }>

export function globalRateLimitKind(deps: LimitDeps): FilterKind<Entry, GlobalRateLimit> {
  /** By name: as many as the configuration has. */
  const services = new Map<string, RateLimitService>()
  return {
    kind: 'global-rate-limit',
    make(spec, { limitShare }) {
      if (spec.service === undefined) return new GlobalRateLimit(spec, undefined)
      let service = services.get(spec.provider)
      if (service === undefined) services.set(spec.provider, (service = new RateLimitService(spec.service, deps)))
      service.spec = spec.service
      service.workerShare = limitShare
      return new GlobalRateLimit(spec, service)
    },
  }
}

export class GlobalRateLimit implements Filter, StatefulFilter {
  readonly kind = 'global-rate-limit'
  /** Of the service: filters that ask the same one remember the same. */
  readonly stateId: string
  private readonly spec: Entry
  private readonly service: RateLimitService | undefined
  private readonly descriptors: Descriptors
  private readonly limit: string

  constructor(spec: Entry, service: RateLimitService | undefined) {
    this.spec = spec
    this.service = service
    this.stateId = `global-rate-limit\n${spec.provider}`
    this.descriptors = descriptorsOf(spec.descriptors)
    this.limit = `rate limit ${spec.name} of ${spec.origin.kind} ${spec.origin.name} is reached`
  }

  onRequest(context: FilterContext): FilterVerdict {
    if (this.service === undefined) return null
    const { domain, hitsAddend } = this.spec
    const descriptors = this.descriptors(context.edited, this.caller(context.view))
    if (descriptors.length === 0) return null
    return this.service.judge({ domain, descriptors, hitsAddend }, this.limit, context)
  }

  explain(view: RequestView): string {
    const { service, spec } = this
    if (service === undefined) return `lets the request pass: rules.extensionProviders names no ${spec.provider}`
    const descriptors = this.descriptors(view, this.caller(view))
    if (descriptors.length === 0) return `does not ask ${spec.provider}: the request has no descriptor of ${spec.name}`
    const shown = descriptors
      .map(({ entries }) => entries.map(({ key, value }) => `${key}=${value}`).join(','))
      .join('; ')
    const asked = `${spec.provider} (${service.spec.service}) about ${spec.domain}: ${shown}`
    return service.isGone
      ? `applies ${percent(service.share)} of what was said last by ${asked}, which is gone`
      : `asks ${asked}; 429 beyond the limit`
  }

  exportState(now: number): unknown {
    return this.service?.exportState(now)
  }

  importState(state: unknown, now: number): void {
    this.service?.importState(state, now)
  }

  private caller(view: RequestView): string {
    const named = this.spec.bySourceHeader === true ? view.header(headers.source) : undefined
    return view.source?.app ?? named ?? ''
  }
}
