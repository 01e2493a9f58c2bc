/**
 * What one kind of foreign client can ask for: its listener and routes, which depend on what its node says, and those
 * of clients of gRPC by the names that they call. Shared by all clients whose nodes say the same.
 */
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import { encodeMessage, typeUrlOf } from '../../../contracts/envoy-api/encode.ts'
import type { RulesView } from '../agent-rules.ts'
import { Resources, type OnValue, type ResourceSource, type Wildcard } from '../resources.ts'
import { clusterMessage } from './cluster.ts'
import { policyOf } from './destinations.ts'
import {
  apiListener,
  listenerMessage,
  outbound,
  outboundListener,
  routeConfiguration,
  routesMessage,
} from './listener.ts'
import type { LeftOutTable } from './left-out-table.ts'
import type { NodeView } from './node.ts'
import { OutboundRoutes } from './outbound-routes.ts'
import { virtualHost, virtualHostMessage } from './virtual-host.ts'

export interface WorldDeps {
  readonly rules: RulesView
  readonly clusterDomain: string
  readonly leftOut: LeftOutTable
}

export const foreignTypes = {
  clusters: typeUrlOf(clusterMessage),
  listeners: typeUrlOf(listenerMessage),
  routes: typeUrlOf(routesMessage),
} as const

const onlyOutbound: Wildcard = { names: () => new Set([outbound]), watch: () => () => undefined }

export class World {
  readonly listeners: Resources
  readonly routes: Resources
  private readonly deps: WorldDeps
  private readonly node: Omit<NodeView, 'identity'>
  /** While somebody asks for it. */
  private outbound: { readonly routes: OutboundRoutes; users: number } | undefined

  constructor(node: Omit<NodeView, 'identity'>, deps: WorldDeps) {
    this.node = node
    this.deps = deps
    this.listeners = new Resources(
      foreignTypes.listeners,
      this.source((name, onValue) => this.listener(name, onValue)),
    )
    this.routes = new Resources(
      foreignTypes.routes,
      this.source((name, onValue) => this.routesOf(name, onValue)),
    )
  }

  wildcard(typeUrl: string): Wildcard | undefined {
    if (typeUrl === foreignTypes.listeners) return onlyOutbound
    if (typeUrl !== foreignTypes.clusters) return undefined
    return {
      names: () => this.outbound?.routes.names(),
      watch: (onChange) => {
        const unwatch = this.useOutbound().watch(onChange)
        return () => {
          unwatch()
          this.leaveOutbound()
        }
      },
    }
  }

  private source(follow: (name: string, onValue: OnValue) => (() => void) | false): ResourceSource {
    return { follow: (name, onValue) => (name === outbound || this.mayExist(name) ? follow(name, onValue) : false) }
  }

  /** Whether a target of gRPC can be a service; before the rules have been read every name may. */
  private mayExist(target: string): boolean {
    const { inForce } = this.deps.rules
    return target !== '' && (inForce === undefined || keyOfTarget(target, inForce) !== undefined)
  }

  private listener(name: string, onValue: OnValue): () => void {
    const { host, port } = this.node.listen
    const message = name === outbound ? outboundListener(host, port) : apiListener(name)
    const soon = setImmediate(() => onValue(encodeMessage(listenerMessage, message)))
    return () => clearImmediate(soon)
  }

  private routesOf(name: string, onValue: OnValue): () => void {
    if (name !== outbound) return this.targetRoutes(name, onValue)
    const routes = this.useOutbound()
    const tell = (): void => {
      if (routes.value !== undefined) onValue(routes.value)
    }
    const soon = setImmediate(tell)
    const unwatch = routes.watch(tell)
    return () => {
      clearImmediate(soon)
      unwatch()
      this.leaveOutbound()
    }
  }

  private targetRoutes(target: string, onValue: OnValue): () => void {
    const { rules, leftOut } = this.deps
    const owner = {}
    const tell = (): void => {
      const { inForce } = rules
      if (inForce === undefined) return
      const key = keyOfTarget(target, inForce)
      if (key === undefined) return onValue(undefined)
      const { spec } = inForce.virtualHost(key)
      const made = virtualHost(spec, ['*'], 'grpc', (ref) => policyOf(inForce.service(ref.service), ref))
      leftOut.set(owner, { type: 'routes', name: target, what: made.leftOut })
      onValue(
        encodeMessage(routesMessage, routeConfiguration(target, [encodeMessage(virtualHostMessage, made.message)])),
      )
    }
    const soon = setImmediate(tell)
    const unwatch = rules.watch(tell)
    return () => {
      clearImmediate(soon)
      unwatch()
      leftOut.clear(owner)
    }
  }

  private useOutbound(): OutboundRoutes {
    this.outbound ??= { routes: new OutboundRoutes({ ...this.deps, services: this.node.services }), users: 0 }
    this.outbound.users++
    return this.outbound.routes
  }

  private leaveOutbound(): void {
    const { outbound: kept } = this
    if (kept === undefined || --kept.users > 0) return
    kept.routes.close()
    this.outbound = undefined
  }
}

/** A port after the name is the caller's own matter. */
function keyOfTarget(target: string, rules: { resolveName(name: string): ServiceKey | undefined }) {
  const name = /^(.*?)(?::\d{1,5})?$/.exec(target)![1]!
  return rules.resolveName(name)
}
