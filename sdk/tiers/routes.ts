/**
 * Where a call may go, best first: by the mesh the agent, then a center, then the endpoints that the agent named before
 * it died; directly the endpoints of the registry. One service is never served from two sources at once.
 */
import type { Clock } from '../../contracts/clock.ts'
import { endpointId } from '../../contracts/endpoint.ts'
import type { AgentSource } from '../sources/agent-source.ts'
import type { NacosSource, Weighted } from '../sources/nacos-source.ts'
import type { ServedBy, ActiveMode } from '../status.ts'
import { readAddress, readCenterAddress } from '../options.ts'
import type { Address } from '../options.ts'
import type { MeshProxy } from './proxy.ts'

export interface Route {
  readonly tier: ServedBy
  readonly address: Address
  /** Of an agent or a center; an endpoint has none. */
  readonly proxy: MeshProxy | undefined
  /** What the center is told the connection is for; '' = each request says so itself. */
  readonly service: string
}

export interface RoutesDeps {
  readonly clock: Clock
  readonly random: () => number
  readonly agent: AgentSource
  readonly nacos: NacosSource | undefined
  /** By address. */
  readonly proxies: {
    agentProxy(address: string, protocol: string): MeshProxy
    centerProxy(address: string): MeshProxy | undefined
  }
}

/** An endpoint that refused is the last choice for so long, ms. */
const restMs = 5000
/** Endpoints of a service that a call tries. */
const maxEndpoints = 3
const maxResting = 1000

export class Routes {
  private readonly deps: RoutesDeps
  /** Until when, monotonic ms, by `address:port`. */
  private readonly resting = new Map<string, number>()

  constructor(deps: RoutesDeps) {
    this.deps = deps
  }

  /** protocol: `http`, or a codec's name. Each route is looked for when the ones before it were of no help. */
  *list(name: string, mode: ActiveMode, protocol: string): Generator<Route> {
    const { agent, proxies, nacos } = this.deps
    if (mode === 'direct') {
      nacos?.want(name)
      yield* this.endpoints(nacos?.endpoints(name) ?? [], 'registry')
      return
    }
    const known = agent.service(name)
    const { host } = agent
    const local = protocol === 'http' ? host?.http : (host?.rpc[protocol] ?? host?.rpc['auto'])
    if (typeof local === 'string') {
      const proxy = proxies.agentProxy(local, protocol)
      if (proxy.isUsable) yield { tier: 'agent', address: readAddress(local)!, proxy, service: '' }
    }
    const mayAsk = known?.center ?? (host?.centersTakeUnnamed === true && protocol === 'http')
    if (mayAsk)
      for (const center of host?.centers ?? []) {
        const proxy = proxies.centerProxy(center)
        if (proxy?.isUsable !== true) continue
        const service = protocol === 'http' ? '' : (known?.service ?? '')
        yield { tier: 'center', address: readCenterAddress(center)!, proxy, service }
      }
    if (known?.direct === true)
      yield* this.endpoints(
        known.endpoints.map((address) => ({ address, weight: 1 })),
        'direct',
      )
  }

  /** Nobody took the connection. */
  refused({ address: { host, port }, proxy }: Route): void {
    if (proxy !== undefined) {
      proxy.refused()
      return
    }
    if (this.resting.size >= maxResting) this.resting.delete(this.resting.keys().next().value!)
    this.resting.set(endpointId({ address: host, port }), this.deps.clock.monotonic() + restMs)
  }

  /** At most three, in an order by weight and chance; those that rest behind the others. */
  private *endpoints(list: readonly Weighted[], tier: 'direct' | 'registry'): Generator<Route> {
    const now = this.deps.clock.monotonic()
    const left = [...list]
    for (let given = 0; given < maxEndpoints && left.length > 0;) {
      const awake = left.filter((one) => (this.resting.get(one.address) ?? 0) <= now)
      const among = awake.length > 0 ? awake : left
      let at = this.deps.random() * among.reduce((sum, one) => sum + one.weight, 0)
      const chosen = among.find((one) => (at -= one.weight) < 0) ?? among.at(-1)!
      left.splice(left.indexOf(chosen), 1)
      const address = readAddress(chosen.address)
      if (address === undefined) continue
      given++
      yield { tier, address, proxy: undefined, service: '' }
    }
  }
}
