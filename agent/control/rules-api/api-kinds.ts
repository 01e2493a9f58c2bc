/** The kinds that the API serves, by the names that Kubernetes gives them in paths. */
import { apiVersions, type RuleKind } from '../core/rules/kinds.ts'

export interface ApiKind {
  readonly kind: RuleKind
  readonly group: string
  /** The preferred one first. */
  readonly versions: readonly string[]
  /** As in paths. */
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
}

const shortNames: Partial<Record<RuleKind, readonly string[]>> = {
  VirtualService: ['vs'],
  DestinationRule: ['dr'],
  ServiceEntry: ['se'],
  WorkloadEntry: ['we'],
  Gateway: ['gw'],
  MeshPolicy: ['mp'],
}

export const apiKinds: readonly ApiKind[] = (Object.keys(apiVersions) as RuleKind[]).map((kind) => {
  const names = apiVersions[kind].map((version) => version.split('/'))
  const singular = kind.toLowerCase()
  return {
    kind,
    group: names[0]![0]!,
    versions: names.map(([, version]) => version!),
    plural: /[^aeiou]y$/.test(singular) ? `${singular.slice(0, -1)}ies` : `${singular}s`,
    singular,
    shortNames: shortNames[kind] ?? [],
  }
})

/** Each group with its versions, the preferred one first. */
export const apiGroups: ReadonlyMap<string, readonly string[]> = new Map(
  apiKinds.map(({ group, versions }) => [group, versions]),
)

export function kindAt(group: string, version: string, plural: string): ApiKind | undefined {
  return apiKinds.find((one) => one.group === group && one.plural === plural && one.versions.includes(version))
}
