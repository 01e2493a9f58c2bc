/**
 * Rules that lie in the cluster: each kind in each namespace is a collection, listed and watched, told whole. A kind
 * that the cluster does not know has no rules; one that we may not read keeps what was read of it, and says so. What
 * the mesh itself wrote there for others is left out.
 */
import type { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps, RuleCollection, RuleFeed, Subscription } from '../../contracts/registry-adapter.ts'
import { NoSuchCollection } from './kubernetes-api.ts'
import type { KubernetesApi, WatchWord } from './kubernetes-api.ts'
import { ObjectWatch } from './object-watch.ts'
import { isManaged } from './ownership.ts'

export interface RuleWatchDeps extends Pick<AdapterDeps, 'clock' | 'random' | 'log'> {
  readonly registry: string
  readonly api: KubernetesApi
  readonly namespaces: readonly string[]
  readonly watchMs: number
  /** Something failed that may be the server. */
  onTrouble(): void
}

interface Kind {
  readonly kind: string
  readonly plural: string
  /** In order of preference: an older cluster has the older ones. */
  readonly versions: readonly string[]
}

const istio = ['networking.istio.io/v1', 'networking.istio.io/v1beta1']
const security = ['security.istio.io/v1', 'security.istio.io/v1beta1']
const gateway = ['gateway.networking.k8s.io/v1', 'gateway.networking.k8s.io/v1beta1']

const kinds: readonly Kind[] = [
  { kind: 'VirtualService', plural: 'virtualservices', versions: istio },
  { kind: 'DestinationRule', plural: 'destinationrules', versions: istio },
  { kind: 'ServiceEntry', plural: 'serviceentries', versions: istio },
  { kind: 'WorkloadEntry', plural: 'workloadentries', versions: istio },
  { kind: 'Gateway', plural: 'gateways', versions: istio },
  { kind: 'HTTPRoute', plural: 'httproutes', versions: gateway },
  { kind: 'GRPCRoute', plural: 'grpcroutes', versions: ['gateway.networking.k8s.io/v1'] },
  {
    kind: 'TCPRoute',
    plural: 'tcproutes',
    versions: ['gateway.networking.k8s.io/v1', 'gateway.networking.k8s.io/v1alpha2'],
  },
  { kind: 'PeerAuthentication', plural: 'peerauthentications', versions: security },
  { kind: 'MeshPolicy', plural: 'meshpolicies', versions: ['hostmesh.io/v1'] },
  { kind: 'AuthorizationPolicy', plural: 'authorizationpolicies', versions: security },
  { kind: 'RequestAuthentication', plural: 'requestauthentications', versions: security },
]

/**
 * Objects of one kind in one namespace; with more of them the collection is not read, and what was read before stays.
 */
const maxObjects = 5000
/** One change is told at once; of many, so often at most, ms: every time all rules are looked at. */
const apartMs = 20

interface Collection {
  readonly name: string
  readonly kind: Kind
  readonly namespace: string
  readonly watch: ObjectWatch
  /** Text by name of the object. */
  readonly texts: Map<string, string>
  /** Index of the version that is asked for. */
  version: number
  state: 'awaited' | 'read' | 'refused'
  problem: string
}

export class RuleWatch implements RuleFeed {
  private readonly deps: RuleWatchDeps
  private readonly collections: readonly Collection[]
  private readonly listeners = new Set<(collections: readonly RuleCollection[]) => void>()
  private cancel: (() => void) | undefined
  private toldAt = -apartMs

  constructor(deps: RuleWatchDeps) {
    this.deps = deps
    this.collections = deps.namespaces.flatMap((namespace) => kinds.map((kind) => this.collectionOf(kind, namespace)))
  }

  watch(listener: (collections: readonly RuleCollection[]) => void): Subscription {
    const own = (collections: readonly RuleCollection[]): void => listener(collections)
    this.listeners.add(own)
    this.tellSoon()
    return { unsubscribe: () => void this.listeners.delete(own) }
  }

  start(): void {
    for (const { watch } of this.collections) watch.start()
  }

  stop(): void {
    for (const { watch } of this.collections) watch.stop()
  }

  close(): void {
    this.stop()
    this.listeners.clear()
    this.cancel?.()
  }

  private collectionOf(kind: Kind, namespace: string): Collection {
    const { api, clock, random, watchMs } = this.deps
    const collection: Collection = {
      name: `${kind.kind} in ${namespace}`,
      kind,
      namespace,
      texts: new Map(),
      version: 0,
      state: 'awaited',
      problem: '',
      watch: new ObjectWatch({
        api,
        clock,
        random,
        watchMs,
        collection: () => `/apis/${kind.versions[collection.version]}/namespaces/${namespace}/${kind.plural}`,
        onList: (items) => this.listed(collection, items),
        onWord: (word) => this.heard(collection, word),
        onFailure: (error) => this.failed(collection, error),
      }),
    }
    return collection
  }

  private listed(collection: Collection, items: readonly unknown[]): void {
    if (items.length > maxObjects) {
      this.refuse(collection, `${items.length} objects, allowed at most ${maxObjects}`)
      return
    }
    collection.texts.clear()
    // objects of a list do not say what they are
    for (const item of items) this.put(collection, item)
    collection.state = 'read'
    this.tellSoon()
  }

  private heard(collection: Collection, { type, object }: WatchWord): void {
    if (collection.state !== 'read') return
    const name = nameOf(object)
    if (name === undefined) return
    if (type === 'DELETED') collection.texts.delete(name)
    else if (collection.texts.size >= maxObjects && !collection.texts.has(name)) {
      this.refuse(collection, `more than ${maxObjects} objects`)
      return
    } else this.put(collection, object)
    this.tellSoon()
  }

  private put({ kind, version, texts }: Collection, object: unknown): void {
    const name = nameOf(object)
    if (name === undefined) return
    if (isManaged(object)) texts.delete(name)
    else texts.set(name, JSON.stringify({ apiVersion: kind.versions[version], kind: kind.kind, ...(object as object) }))
  }

  private failed(collection: Collection, error: MeshError): void {
    if (error instanceof NoSuchCollection) {
      collection.version = (collection.version + 1) % collection.kind.versions.length
      // an older one may be known: all of them were asked for when the first one is due again
      if (collection.version !== 0) return collection.watch.start()
      if (collection.state === 'read' && collection.texts.size === 0) return
      collection.texts.clear()
      collection.state = 'read'
      this.tellSoon()
    } else if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT') this.deps.onTrouble()
    else this.refuse(collection, error.message)
  }

  /** It cannot be read: what was read before stays in force. */
  private refuse(collection: Collection, problem: string): void {
    if (collection.state === 'refused' && collection.problem === problem) return
    collection.state = 'refused'
    collection.problem = problem
    this.deps.log.warn(
      { registry: this.deps.registry, collection: collection.name },
      `${this.deps.registry}: rules of ${collection.name} cannot be read: ${problem}; those read before stay in force, trying on`,
    )
    this.tellSoon()
  }

  private tellSoon(): void {
    const { clock } = this.deps
    this.cancel ??= clock.after(Math.max(0, this.toldAt + apartMs - clock.monotonic()), () => {
      this.cancel = undefined
      this.toldAt = clock.monotonic()
      const all = this.collections.map(({ name, state, texts, problem }): RuleCollection => {
        if (state === 'read')
          return {
            name,
            text: [...texts.keys()]
              .sort()
              .map((one) => texts.get(one)!)
              .join('\n---\n'),
          }
        return state === 'refused'
          ? { name, text: undefined, problem }
          : { name, text: undefined, problem: 'not read from the cluster yet', isAwaited: true }
      })
      for (const listener of this.listeners) listener(all)
    })
  }
}

function nameOf(object: unknown): string | undefined {
  const name = (object as { metadata?: { name?: unknown } | null } | null)?.metadata?.name
  return typeof name === 'string' ? name : undefined
}
