/**
 * Locality: which endpoints are near, and in which order or shares the groups of them serve.
 *
 * Why: traffic inside a zone is faster and cheaper, and a zone that fails should not take another one with it.
 * By default the groups are levels: own region and zone, own region, the region that `failover` names for ours, the
 * rest. The first one serves alone while enough of it is usable (`share-out.ts`). With `distribute` for our locality
 * the groups are the localities that it names, each with its share, and endpoints elsewhere get nothing.
 * Cold start: a host that does not know its own locality, or a policy with locality off, has one group.
 */
import type { Locality } from '../../../contracts/endpoint.ts'
import type { LocalitySpec } from '../../../contracts/policy-spec.ts'
import type { LiveEndpoint } from './endpoint-state.ts'

export interface LocalityGroup {
  readonly name: string
  /** Levels: 0, filled in order. Shares: what `distribute` gives it. */
  readonly share: number
  readonly members: readonly LiveEndpoint[]
}

export interface LocalityPlan {
  readonly kind: 'levels' | 'shares'
  /** Without empty groups. */
  readonly groups: readonly LocalityGroup[]
  /** Members that no group holds. */
  readonly leftOut: ReadonlySet<LiveEndpoint>
}

const nobody: ReadonlySet<LiveEndpoint> = new Set()

export function planLocalities(members: readonly LiveEndpoint[], own: Locality, spec: LocalitySpec): LocalityPlan {
  const isPlaced = own.region !== '' || own.zone !== ''
  if (!spec.enabled || !isPlaced) {
    return { kind: 'levels', groups: withoutEmpty([{ name: 'all localities', share: 0, members }]), leftOut: nobody }
  }
  const distribution = spec.distribute?.find((entry) => matchRank(entry.from, own) > 0)
  return distribution === undefined ? planLevels(members, own, spec) : planShares(members, distribution.to)
}

function planLevels(members: readonly LiveEndpoint[], own: Locality, spec: LocalitySpec): LocalityPlan {
  const failoverTo = spec.failover?.find((entry) => entry.from === own.region)?.to
  const names = ['own zone', 'own region', `failover region ${failoverTo ?? ''}`, 'other regions'] as const
  const levels: LiveEndpoint[][] = [[], [], [], []]
  for (const member of members) {
    const { region, zone } = member.endpoint.locality
    const isOwnRegion = region === own.region
    if (isOwnRegion && (zone === own.zone || own.zone === '')) levels[0]!.push(member)
    else if (isOwnRegion && region !== '') levels[1]!.push(member)
    else if (region === failoverTo) levels[2]!.push(member)
    else levels[3]!.push(member)
  }
  const groups = names.map((name, level) => ({ name, share: 0, members: levels[level]! }))
  return { kind: 'levels', groups: withoutEmpty(groups), leftOut: nobody }
}

function planShares(members: readonly LiveEndpoint[], to: Readonly<Record<string, number>>): LocalityPlan {
  const entries = Object.entries(to).filter(([, share]) => share > 0)
  const parts = entries.map((): LiveEndpoint[] => [])
  const leftOut = new Set<LiveEndpoint>()
  for (const member of members) {
    let best = -1
    let bestRank = 0
    for (let index = 0; index < entries.length; index++) {
      const rank = matchRank(entries[index]![0], member.endpoint.locality)
      if (rank > bestRank) {
        best = index
        bestRank = rank
      }
    }
    if (best < 0) leftOut.add(member)
    else parts[best]!.push(member)
  }
  const groups = entries.map(([name, share], index) => ({ name, share, members: parts[index]! }))
  return { kind: 'shares', groups: withoutEmpty(groups), leftOut }
}

function withoutEmpty(groups: readonly LocalityGroup[]): LocalityGroup[] {
  return groups.filter((group) => group.members.length > 0)
}

/**
 * `region/zone`, `region/*`, `region` or `*` against a locality: 0 = no match, else the more the closer. Istio's third
 * part (sub-zone) is not told apart.
 */
function matchRank(pattern: string, locality: Locality): number {
  const [region = '*', zone = '*'] = pattern.split('/')
  if (region !== '*' && region !== locality.region) return 0
  if (zone !== '*' && zone !== locality.zone) return 0
  return 1 + (region === '*' ? 0 : 2) + (zone === '*' ? 0 : 4)
}
