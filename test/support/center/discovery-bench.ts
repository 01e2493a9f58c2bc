/** Resources for streams of discovery: each is its own name and version; what a type has is what has been set. */
import { encodeMessage } from '../../../contracts/envoy-api/encode.ts'
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import { Resources, type OnValue, type Wildcard } from '../../../global-mesh-center/xds/resources.ts'
import { clusterType, endpointType } from '../../../global-mesh-center/xds/send-order.ts'
import { manualClock } from '../manual-clock.ts'

export const listenerType = 'type.googleapis.com/envoy.config.listener.v3.Listener'
export const routeType = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration'
const types = [clusterType, endpointType, listenerType, routeType]

/** What a stream is given, and what it says of its client. */
export class DiscoveryBench {
  readonly clock = manualClock()
  readonly typeUrls = types
  readonly refused: string[] = []
  readonly faults: string[] = []
  private readonly followers = new Map<string, OnValue>()
  private readonly values = new Map<string, number>()
  private readonly all = new Map(
    types.map((type) => [
      type,
      new Resources(type, {
        follow: (name, onValue) => {
          if (name === 'impossible') return false
          this.followers.set(`${type} ${name}`, onValue)
          setImmediate(() => this.tell(type, name))
          return () => void this.followers.delete(`${type} ${name}`)
        },
      }),
    ]),
  )
  private nonces = 0
  private wild: ReadonlySet<string> | undefined
  private readonly wildWatchers = new Set<() => void>()

  /** Of a stream, but where it sends. */
  asDeps() {
    const { clock, typeUrls, resources, wildcard, nonce, onRefused, onFault } = this
    return { clock, typeUrls, resources, wildcard, nonce, onRefused, onFault }
  }

  readonly resources = (type: string): Resources | undefined => this.all.get(type)
  readonly wildcard = (type: string): Wildcard | undefined =>
    type === clusterType
      ? {
          names: () => this.wild,
          watch: (onChange) => {
            this.wildWatchers.add(onChange)
            return () => void this.wildWatchers.delete(onChange)
          },
        }
      : undefined
  /** `1`, `2`, …, of all streams. */
  readonly nonce = (): string => String(++this.nonces)
  readonly onRefused = (type: string, message: string): void => void this.refused.push(`${short(type)}: ${message}`)
  readonly onFault = (message: string): void => void this.faults.push(message)

  set(type: string, name: string, version: number): void {
    this.values.set(`${type} ${name}`, version)
    this.tell(type, name)
  }

  /** All that there are. */
  clusters(...names: readonly string[]): void {
    this.wild = new Set(names)
    for (const name of names) if (!this.values.has(`${clusterType} ${name}`)) this.set(clusterType, name, 1)
    for (const onChange of this.wildWatchers) onChange()
  }

  get followed(): number {
    return this.followers.size
  }

  private tell(type: string, name: string): void {
    const version = this.values.get(`${type} ${name}`)
    if (version === undefined) return
    const fields: Plain =
      type === endpointType
        ? { cluster_name: name, endpoints: [{ priority: version }] }
        : { name: `${name}@${version}` }
    this.followers.get(`${type} ${name}`)?.(
      encodeMessage(type.slice(type.indexOf('/') + 1), fields),
      type === clusterType,
    )
  }
}

export function short(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('.') + 1)
}

/** As the bench encoded them, in the order of their names. */
export function namesOf(resources: readonly Plain[]): string[] {
  return resources.map((one) => String(one['name'] ?? one['cluster_name'])).toSorted()
}

/** Until what was said has been answered. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(() => setImmediate(() => setImmediate(resolve))))
}
