/** How two routes differ, whatever request takes them; worked out once for each pair. */
import type { DryRunKind } from '../../../contracts/dry-run.ts'
import type { HttpRouteSpec, VirtualHostSpec } from '../../../contracts/route-spec.ts'
import type { Route } from '../route/types.ts'

export interface Difference {
  readonly kind: DryRunKind
  readonly now: string
  readonly then: string
}

export interface RouteDifferences {
  /** They ask the same filters in the same way. */
  readonly haveSameFilters: boolean
  /** Places of filters by chance or by rate that both have: what they said once holds for both. */
  readonly sharedFilters: ReadonlySet<number>
  /** Of what is sent on. */
  readonly differences: readonly Difference[]
}

/** Of what filters by chance or by rate answer; '' = they answer nothing. */
export const codeOf: Readonly<Record<string, string | undefined>> = {
  'fault-delay': '',
  'fault-abort': 'E_FAULT_INJECTED',
  'rate-limit': 'E_RATE_LIMITED',
}

/** Of routes that have nothing to do with each other. */
export const noAgreement: RouteDifferences = { haveSameFilters: false, sharedFilters: new Set(), differences: [] }

export class RoutePairs {
  private readonly known = new WeakMap<Route, WeakMap<Route, RouteDifferences>>()

  /** `hosts`: of both routes; filters about tokens and policies look there. */
  of(now: Route, then: Route, hosts: readonly [now: VirtualHostSpec, then: VirtualHostSpec]): RouteDifferences {
    let others = this.known.get(now)
    if (others === undefined) this.known.set(now, (others = new WeakMap()))
    let found = others.get(then)
    if (found === undefined) others.set(then, (found = compared(now.spec, then.spec, hosts)))
    return found
  }
}

function compared(
  now: HttpRouteSpec,
  then: HttpRouteSpec,
  [nowHost, thenHost]: readonly [VirtualHostSpec, VirtualHostSpec],
): RouteDifferences {
  const differences: Difference[] = []
  if (now.timeoutMs !== then.timeoutMs)
    differences.push({ kind: 'timeout', now: ms(now.timeoutMs), then: ms(then.timeoutMs) })
  const [before, after] = [retries(now), retries(then)]
  if (before !== after) differences.push({ kind: 'retries', now: before, then: after })
  const edited = (['rewrite', 'requestHeaders', 'responseHeaders', 'mirrors'] as const).filter(
    (field) => !isSame(now[field], then[field]),
  )
  if (edited.length > 0)
    differences.push({ kind: 'edits', now: 'as it is', then: `${edited.join(', ')} would be otherwise` })
  return {
    sharedFilters: sharedFilters(now, then),
    haveSameFilters: isSame(filtersOf(now, nowHost), filtersOf(then, thenHost)),
    differences,
  }
}

function sharedFilters({ filters: before = [] }: HttpRouteSpec, { filters = [] }: HttpRouteSpec): Set<number> {
  return new Set(
    filters.flatMap((filter, at) =>
      codeOf[filter.kind] !== undefined && before.some((one) => isSame(one, filter)) ? [at] : [],
    ),
  )
}

function filtersOf(
  { action, filters = [] }: HttpRouteSpec,
  { authentication, authorization }: VirtualHostSpec,
): object {
  const kinds = new Set(filters.map(({ kind }) => kind))
  return {
    filters,
    action: action.kind === 'forward' ? undefined : action,
    authentication: kinds.has('jwt') ? authentication : undefined,
    authorization: kinds.has('authorization') || kinds.has('ext-authz') ? authorization : undefined,
  }
}

function retries({ retry, hedge }: HttpRouteSpec): string {
  const tried =
    retry === undefined || retry.attempts === 0
      ? 'none'
      : `${retry.attempts} on ${[...retry.on, ...retry.statuses].join(', ')}${
          retry.perTryTimeoutMs === 0 ? '' : `, ${ms(retry.perTryTimeoutMs)} per try`
        }`
  return hedge === undefined ? tried : `${tried}, another one after ${ms(hedge.afterMs)}`
}

function ms(value: number): string {
  return value === 0 ? 'none' : `${value} ms`
}

export function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
