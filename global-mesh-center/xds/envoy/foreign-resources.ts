/** Everything for clients that are no agents of ours: proxies (Envoy) and clients of gRPC. */
import type { RulesView } from '../agent-rules.ts'
import { Resources, type ResourceSource, type Wildcard } from '../resources.ts'
import { AssignmentSource, ClusterSource, type DestinationsDeps } from './destinations.ts'
import { foreignTypes, World } from './world.ts'
import { nodeView } from './node.ts'

export interface ForeignDeps extends DestinationsDeps {
  readonly rules: RulesView
  readonly clusterDomain: string
}

/** What one client gets. */
export interface ForeignView {
  resources(typeUrl: string): Resources | undefined
  wildcard(typeUrl: string): Wildcard | undefined
  release(): void
}

export class ForeignResources {
  readonly assignments: ResourceSource
  private readonly deps: ForeignDeps
  private readonly clusters: Resources
  private readonly worlds = new Map<string, { readonly world: World; users: number }>()

  constructor(deps: ForeignDeps) {
    this.deps = deps
    this.clusters = new Resources(foreignTypes.clusters, new ClusterSource(deps))
    this.assignments = new AssignmentSource(deps)
  }

  /** `node`: as it came. Throws RangeError for metadata that cannot be. */
  view(node: Buffer | undefined): ForeignView {
    const said = nodeView(node)
    const key = JSON.stringify(said)
    const kept = this.worlds.get(key) ?? { world: new World(said, this.deps), users: 0 }
    this.worlds.set(key, kept)
    kept.users++
    const { world } = kept
    return {
      resources: (typeUrl) =>
        ({
          [foreignTypes.clusters]: this.clusters,
          [foreignTypes.listeners]: world.listeners,
          [foreignTypes.routes]: world.routes,
        })[typeUrl],
      wildcard: (typeUrl) => world.wildcard(typeUrl),
      release: () => {
        if (--kept.users === 0) this.worlds.delete(key)
      },
    }
  }
}
