/**
 * What a control plane has said, translated: of each resource the last one that could be. A resource that cannot be
 * leaves the one before it in force.
 */
import { hash } from 'node:crypto'
import type { ServiceKey } from '../../contracts/endpoint.ts'
import { bytesIn, fieldsOf, textOf } from '../../contracts/envoy-api/protobuf.ts'
import { serviceOf, type Place } from './names.ts'
import { readAssignment, type Assignment } from './translate/assignment.ts'
import { readCluster, type Cluster } from './translate/cluster.ts'
import { readListener, type Listener } from './translate/listener.ts'
import { readRouteConfig, type VirtualHost } from './translate/route-config.ts'
import type { ResourceType } from './wire/discovery.ts'
import { Faults } from './wire/faults.ts'
import { routeConfigShape } from './wire/route.ts'
import { readMessage } from './wire/shape.ts'

/** Of one type; a response with more is refused as a whole. */
const maxResources = 20_000

interface Values {
  readonly cluster: Cluster
  readonly endpoints: Assignment
  readonly listener: Listener
  readonly route: { readonly name: string; readonly virtualHosts: readonly VirtualHost[] }
}

interface Kept<T> {
  /** Of the bytes that were read last, good or not. */
  digest: string
  value: T | undefined
  problem: string | undefined
}

/** The name of a resource, which is its first field in all four types, and what is wrong with it. */
export interface ResourceProblem {
  readonly name: string
  readonly problem: string
}

export interface Taken {
  readonly names: ReadonlySet<string>
  /** Those of them that are not as they were said last. */
  readonly changed: ReadonlySet<string>
  readonly problems: readonly ResourceProblem[]
}

export class Catalog {
  private readonly place: Place
  private readonly kept: { readonly [T in ResourceType]: Map<string, Kept<Values[T]>> } = {
    cluster: new Map(),
    endpoints: new Map(),
    listener: new Map(),
    route: new Map(),
  }
  /** Of clusters, good or not. */
  private names: ReadonlyMap<ServiceKey, string> = new Map()

  constructor(place: Place) {
    this.place = place
  }

  /**
   * Takes a response; answers which resources it holds, and what is wrong with which of them. Clusters and listeners
   * come whole: what is missing is gone.
   */
  take(type: ResourceType, resources: readonly Buffer[]): Taken {
    if (resources.length > maxResources)
      return {
        names: new Set(),
        changed: new Set(),
        problems: [{ name: '', problem: `${resources.length} resources, allowed ${maxResources}` }],
      }
    const problems: ResourceProblem[] = []
    const seen = new Set<string>()
    const changed = new Set<string>()
    for (const bytes of resources) {
      const name = nameOf(bytes)
      const isTwice = seen.has(name)
      seen.add(name)
      const problem = isTwice
        ? 'it is there twice'
        : name === ''
          ? 'name: found nothing'
          : this.takeOne(type, name, bytes, changed)
      if (problem !== undefined) problems.push({ name, problem })
    }
    if (type === 'cluster' || type === 'listener') keepOnly(this.kept[type], seen)
    if (type === 'cluster') this.clustersChanged()
    return { names: seen, changed, problems }
  }

  cluster(service: ServiceKey): Cluster | undefined {
    const name = this.names.get(service)
    return name === undefined ? undefined : this.kept.cluster.get(name)?.value
  }

  services(): Iterable<ServiceKey> {
    return this.names.keys()
  }

  assignment(name: string): Assignment | undefined {
    return this.kept.endpoints.get(name)?.value
  }

  /** Why the newest word on this service is not in force, by the name of its cluster. */
  problemOf(service: ServiceKey): string | undefined {
    const name = this.names.get(service)
    const kept = name === undefined ? undefined : this.kept.cluster.get(name)
    const from = kept?.value?.from
    const problem =
      kept?.problem ?? (from !== undefined && 'eds' in from ? this.kept.endpoints.get(from.eds)?.problem : undefined)
    return problem === undefined ? undefined : `cluster ${name}: ${problem}`
  }

  listeners(): Listener[] {
    return [...this.kept.listener.values()].flatMap(({ value }) => value ?? [])
  }

  /** Undefined = nothing was said of it yet that could be taken. */
  routes(name: string): readonly VirtualHost[] | undefined {
    return this.kept.route.get(name)?.value?.virtualHosts
  }

  /** Something was, whether it could be taken or not. */
  isSaid(type: ResourceType, name: string): boolean {
    return this.kept[type].has(name)
  }

  count(type: ResourceType): number {
    return this.kept[type].size
  }

  /** Names of the endpoints that clusters ask for. */
  wantedEndpoints(): Set<string> {
    const names = new Set<string>()
    for (const { value } of this.kept.cluster.values())
      if (value !== undefined && 'eds' in value.from) names.add(value.from.eds)
    return names
  }

  wantedRoutes(): Set<string> {
    return new Set(this.listeners().flatMap(({ routes }) => routes))
  }

  /** What nobody asks for any more goes. */
  tidy(): void {
    keepOnly(this.kept.endpoints, this.wantedEndpoints())
    keepOnly(this.kept.route, this.wantedRoutes())
  }

  private takeOne<T extends ResourceType>(
    type: T,
    name: string,
    bytes: Buffer,
    changed: Set<string>,
  ): string | undefined {
    const kept: Map<string, Kept<Values[T]>> = this.kept[type]
    // every answer says again what is as before: of 1,000 resources all but one
    const digest = hash('sha1', bytes, 'base64')
    const before = kept.get(name)
    if (before?.digest === digest) return before.problem
    changed.add(name)
    const faults = new Faults()
    let value: Values[T] | undefined
    try {
      value = this.readers[type](bytes, faults, before?.value)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      faults.add('the message', error.message)
    }
    const problem = faults.isEmpty ? undefined : String(faults)
    kept.set(name, { digest, value: problem === undefined ? value : before?.value, problem })
    return problem
  }

  private readonly readers: {
    readonly [T in ResourceType]: (bytes: Buffer, faults: Faults, before: Values[T] | undefined) => Values[T]
  } = {
    cluster: (bytes, faults) => readCluster(bytes, this.place, faults),
    endpoints: (bytes, faults, before) => readAssignment(bytes, '', faults, before?.known),
    listener: (bytes, faults) => readListener(bytes, this.place, faults),
    route: (bytes, faults) => {
      const message = readMessage(routeConfigShape, bytes, '', faults)
      return { name: message.name ?? '', virtualHosts: readRouteConfig(message, '', this.place, faults) }
    },
  }

  private clustersChanged(): void {
    const names = new Map<ServiceKey, string>()
    for (const [name, { value }] of this.kept.cluster) {
      const service = value === undefined ? serviceOf(name, this.place) : value.service
      if (service !== undefined) names.set(service, name)
    }
    this.names = names
  }
}

function keepOnly(map: Map<string, unknown>, names: ReadonlySet<string>): void {
  for (const name of map.keys()) if (!names.has(name)) map.delete(name)
}

/** '' for what has none, or is no message. */
function nameOf(bytes: Buffer): string {
  try {
    for (const { field, value } of fieldsOf(bytes)) if (field === 1) return textOf(bytesIn(value))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  return ''
}
