/** Everything for clients that are no agents of ours: proxies (Envoy) and clients of gRPC. */
import { typeUrlOf } from '../../../contracts/envoy-api/encode.ts'
import type { AdapterDeps } from '../../../contracts/registry-adapter.ts'
import { spiffeScheme } from '../../../contracts/spiffe-id.ts'
import type { WorkloadIssuer } from '../../ca/workload-issuer.ts'
import type { RulesView } from '../agent-rules.ts'
import { Resources, type Wildcard } from '../resources.ts'
import { endpointType } from '../send-order.ts'
import { AssignmentSource, ClusterSource, type DestinationsDeps } from './destinations.ts'
import { foreignTypes, World } from './world.ts'
import { nodeView, type NodeView } from './node.ts'
import { secretMessage, Secrets, type ProxyCaller } from './secrets.ts'

export interface ForeignDeps
  extends Omit<DestinationsDeps, 'isMeshed' | 'clock'>, Pick<AdapterDeps, 'clock' | 'log' | 'random'> {
  readonly rules: RulesView
  readonly clusterDomain: string
  /** undefined = this center is no authority. */
  readonly issuer: WorkloadIssuer | undefined
}

/** What one client gets. */
export interface ForeignView {
  resources(typeUrl: string): Resources | undefined
  wildcard(typeUrl: string): Wildcard | undefined
  release(): void
}

export const secretType = typeUrlOf(secretMessage)

/** Of all proxies that have an identity, or of all clients that have none. */
class Destinations {
  readonly clusters: Resources
  readonly endpoints: Resources

  constructor(deps: DestinationsDeps) {
    this.clusters = new Resources(foreignTypes.clusters, new ClusterSource(deps))
    this.endpoints = new Resources(endpointType, new AssignmentSource(deps))
  }
}

export class ForeignResources {
  private readonly deps: ForeignDeps
  private readonly plain: Destinations
  private readonly meshed: Destinations
  private readonly worlds = new Map<string, { readonly world: World; users: number }>()

  constructor(deps: ForeignDeps) {
    this.deps = deps
    this.plain = new Destinations({ ...deps, isMeshed: false })
    this.meshed = new Destinations({ ...deps, isMeshed: true })
  }

  /** `node`: as it came. Throws RangeError for metadata that cannot be. */
  view(node: Buffer | undefined, caller: ProxyCaller): ForeignView {
    const { identity, ...said } = nodeView(node)
    const key = JSON.stringify(said)
    const kept = this.worlds.get(key) ?? { world: new World(said, this.deps), users: 0 }
    this.worlds.set(key, kept)
    kept.users++
    const { world } = kept
    const { issuer } = this.deps
    const id = idOf(identity, caller, issuer)
    const { clusters, endpoints } = id === undefined ? this.plain : this.meshed
    const secrets = new Secrets({ ...this.deps, caller, id })
    const bySecret = new Resources(secretType, secrets)
    return {
      resources: (typeUrl) =>
        ({
          [foreignTypes.clusters]: clusters,
          [endpointType]: endpoints,
          [foreignTypes.listeners]: world.listeners,
          [foreignTypes.routes]: world.routes,
          [secretType]: bySecret,
        })[typeUrl],
      wildcard: (typeUrl) => world.wildcard(typeUrl),
      release: () => {
        secrets.close()
        if (--kept.users === 0) this.worlds.delete(key)
      },
    }
  }
}

/** Who the proxy is to be; whether it may is for the authority to say. undefined = it calls in plain. */
function idOf(
  wished: NodeView['identity'],
  { asker }: ProxyCaller,
  issuer: WorkloadIssuer | undefined,
): string | undefined {
  if (issuer === undefined || asker === undefined) return undefined
  if (wished !== undefined) return `${spiffeScheme}${issuer.trustDomain}/${wished}`
  return asker.kind === 'workload' ? asker.id : undefined
}
