/** What a destination would be by the new version of the rules: its endpoints, and the policy that is kept with it. */
import type { CandidateService } from '../../../contracts/dry-run.ts'
import type { Endpoint, ServiceKey } from '../../../contracts/endpoint.ts'
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import type { ServiceSpec } from '../../../contracts/snapshot.ts'
import { choosesByPort, hasLabels, hasPort } from '../../../contracts/endpoint-labels.ts'
import { policyOf } from '../mesh/service-policy.ts'
import { keyParts } from '../route/destination.ts'
import { nobody, type Decision } from './decision.ts'
import type { Difference } from './route-differences.ts'

/** Values of a policy that are told. */
const maxValues = 4

export class Destinations {
  private readonly candidates: ReadonlyMap<string, CandidateService>
  private readonly service: (key: ServiceKey) => ServiceSpec | undefined
  /** By cluster key: how many endpoints of a set are meant. */
  private readonly counted = new Map<string, { endpoints: readonly Endpoint[]; count: number }>()

  constructor(
    candidates: Readonly<Record<ServiceKey, CandidateService>>,
    service: (key: ServiceKey) => ServiceSpec | undefined,
  ) {
    this.candidates = new Map(Object.entries(candidates))
    this.service = service
  }

  touches(service: ServiceKey): boolean {
    return this.candidates.has(service)
  }

  /** Why nobody would serve there; undefined = somebody would. */
  refusal(key: string): Decision['answer'] {
    const { service, subset, port } = keyParts(key)
    const present = this.service(service)
    if (present === undefined) return nobody
    const { subsets } = this.candidates.get(service) ?? present
    const labels = subset === undefined ? {} : subsets[subset]?.labels
    if (labels === undefined) return nobody
    return this.count(key, present.endpoints.endpoints, labels, port) > 0
      ? undefined
      : { status: 503, code: 'E_BALANCE_NO_ENDPOINT' }
  }

  /** Of a destination that stays. */
  differences(key: string): Difference[] {
    const { service, subset, port } = keyParts(key)
    const [present, candidate] = [this.service(service), this.candidates.get(service)]
    if (present === undefined || candidate === undefined) return []
    const [now, then] = [policyOf(present, subset, port), policyOf(candidate, subset, port)]
    const values = now === undefined || then === undefined ? [] : changedValues(now, then)
    const [before, after] = [present, candidate].map(({ subsets }) =>
      subset === undefined ? '' : JSON.stringify(subsets[subset]?.labels ?? {}),
    )
    if (before !== after) values.unshift(['labels', before!, after!])
    if (values.length === 0) return []
    const told = values.slice(0, maxValues)
    const words = (at: 1 | 2): string => told.map((value) => `${value[0]} ${value[at]}`).join(', ')
    const more = values.length > maxValues ? `, ${values.length - maxValues} more` : ''
    return [{ kind: 'policy', now: words(1), then: words(2) + more }]
  }

  private count(
    key: string,
    endpoints: readonly Endpoint[],
    labels: Readonly<Record<string, string>>,
    port: number | undefined,
  ): number {
    const known = this.counted.get(key)
    if (known?.endpoints === endpoints) return known.count
    const byPort = port !== undefined && choosesByPort(endpoints, port)
    const meant = endpoints.filter((one) => hasLabels(one, labels) && (!byPort || hasPort(one, port)))
    this.counted.set(key, { endpoints, count: meant.length })
    return meant.length
  }
}

function changedValues(now: TrafficPolicySpec, then: TrafficPolicySpec): [path: string, now: string, then: string][] {
  const [before, after] = [valuesOf(now), valuesOf(then)]
  const paths = [...new Set([...before.keys(), ...after.keys()])].toSorted()
  return paths.flatMap((path) => {
    const [a = 'none', b = 'none'] = [before.get(path), after.get(path)]
    return a === b ? [] : [[path, a, b]]
  })
}

/** By path; where a value came from is none. */
function valuesOf({ origins: _origins, ...policy }: TrafficPolicySpec): Map<string, string> {
  const found = new Map<string, string>()
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) {
      if (value !== undefined) found.set(path, JSON.stringify(value).replaceAll('"', ''))
      return
    }
    for (const [name, below] of Object.entries(value)) visit(below, path === '' ? name : `${path}.${name}`)
  }
  visit(policy, '')
  return found
}
