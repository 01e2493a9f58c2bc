import type { ServiceKey } from '../../../contracts/endpoint.ts'
import { headers } from '../../../contracts/words.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { Answer } from '../filters/answer.ts'
import { ask, Verdict } from '../filters/filter.ts'
import type { FilterContext, FilterVerdict } from '../filters/filter.ts'
import { chooseDestination, clusterKeyFor, subsetOf } from '../route/destination.ts'
import type { HeaderEdits } from '../route/fields.ts'
import { joinedEdits } from '../route/header-edits.ts'
import { editedView } from '../route/edited-view.ts'
import type { Destination, RequestView, Route, VirtualHost } from '../route/types.ts'
import { mayBeAName } from '../route/name-table.ts'
import { readOverride } from '../route/override.ts'
import type { Override } from '../route/override.ts'
import { matchRoute } from '../route/virtual-host.ts'
import type { MeshView } from './mesh-view.ts'
import {
  nameNotAllowed,
  noDestination,
  noName,
  noRoute,
  overrideRefused,
  unknownDestination,
  unknownService,
} from './own-answers.ts'
import type { RequestMessage } from './streams.ts'

/**
 * Where a request stops on its way: control has to be asked what a name means; the mesh does not know what the request
 * names; or what a filter says.
 */
export type Stop =
  { readonly kind: 'ask'; readonly name: string } | { readonly kind: 'unknown' } | Exclude<FilterVerdict, null>

const unknown: Stop = { kind: 'unknown' }

const passedOn: ReadonlySet<string> = new Set([headers.route])

/** What routing asks of an exchange, beside what its filters do. */
export interface RoutingContext extends FilterContext {
  /** As policies name callers: an application, a SPIFFE id, `user UID`, or an address. */
  readonly caller: string
  /** `x-mesh-route` was there, and this became of it. */
  countOverride(kind: Override['kind']): void
}

/**
 * The routing of one request: its virtual host, route and destination, found in this order and remembered. Decides
 * only: it sends nothing and waits for nothing. After a stop that has an end (control answered, a wait is over)
 * `resolve` takes it up where it was.
 */
export class Routing {
  host: VirtualHost | null = null
  route: Route | null = null
  destination: Destination | null = null
  /** What filters want done to the head on its way to endpoints; null = nothing. */
  requestEdits: HeaderEdits | null = null
  /** What they want done to the head of the reply; null = nothing. */
  replyEdits: HeaderEdits | null = null
  /** Of the caller's user, as a filter found it good. */
  token: FilterContext['token'] = null
  /** By which the destination was chosen among several, 0..1. */
  draw = 0
  /** Its caller sent it elsewhere, by `x-mesh-route`. */
  isOverridden = false
  /** To that subset; '' = as the route says. */
  private subset = ''
  private name = ''
  private nextFilter = 0

  /**
   * Answers the upstream at its end. `listenerHost`: the virtual host of the listener, null where the request names its
   * service.
   */
  resolve(
    mesh: MeshView,
    request: RequestMessage,
    listenerHost: string | null,
    context: RoutingContext,
  ): Upstream | Stop {
    if (this.host === null) {
      const stop = listenerHost === null ? this.findNamedHost(mesh, request) : this.findListenerHost(mesh, listenerHost)
      if (stop !== null) return stop
      if (this.host!.overrides !== null) {
        const other = this.takeOverride(mesh, request, context)
        if (other !== null) return other
      }
    }
    if (this.route === null) {
      const first = this.runFilters(this.host!.firstFilters, context)
      if (first !== null) return first
      this.nextFilter = 0
      const route = matchRoute(this.host!, this.edited(request), this.token)
      if (route === undefined) return noRoute(this.host!)
      this.route = route
    }
    const verdict = this.runFilters(this.route.filters, context)
    if (verdict !== null) return verdict
    return this.findUpstream(this.route, mesh, request, context.random)
  }

  private findListenerHost(mesh: MeshView, name: string): Stop | null {
    const host = mesh.names.host(name)
    if (host === undefined) return this.isUnknown(name)
    this.host = host
    return null
  }

  private findNamedHost(mesh: MeshView, request: RequestMessage): Stop | null {
    const named = request.header(headers.service)
    const name = named ?? request.authority
    if (name === '') return noName()
    const host = named === undefined ? mesh.findAuthority(name) : mesh.names.findName(name)
    // control would ask every registry about it, in vain
    if (host === undefined && !mayBeAName(name)) return this.isUnknown(name)
    if (host === undefined) return { kind: 'ask', name: named ?? mesh.withoutPort(name) }
    if (host === null) return this.isUnknown(name)
    this.host = host
    request.isNamedByHost = named === undefined
    return null
  }

  /** What the policy of the called service allows of `x-mesh-route`. Behind it all is as if the other were called. */
  private takeOverride(mesh: MeshView, request: RequestMessage, context: RoutingContext): Stop | null {
    const text = request.headerValues(headers.route)
    if (text === undefined) return null
    const called = this.host!
    const override = readOverride(called.overrides!, called.name, text, context.caller)
    if (override.kind === 'followed' && override.service !== called.name) {
      const stop = this.findOtherHost(mesh, override.service)
      if (stop !== null) return stop
    }
    context.countOverride(override.kind)
    if (override.kind === 'refused') return overrideRefused(override.reason)
    if (override.kind === 'ignored') context.note('x-mesh-route-ignored')
    else this.editRequest({ fields: [[headers.route, text]], drop: passedOn })
    if (override.kind !== 'followed') return null
    const { service, subset } = override
    context.note(`x-mesh-route[${called.name}=${service}${subset === '' ? '' : `;${subset}`}]`)
    this.isOverridden = true
    this.subset = subset
    return null
  }

  private findOtherHost(mesh: MeshView, service: string): Stop | null {
    const host = mesh.names.host(service) ?? mesh.names.findName(service)
    if (host === null) return this.isUnknown(service)
    this.host = host ?? null
    return host === undefined ? { kind: 'ask', name: service } : null
  }

  private isUnknown(name: string): Stop {
    this.name = name
    return unknown
  }

  private runFilters(filters: Route['filters'], context: FilterContext): FilterVerdict {
    while (this.nextFilter < filters.length) {
      const verdict = ask(filters[this.nextFilter++]!, context)
      if (verdict !== null) return verdict
    }
    return null
  }

  /** As filters have edited it so far. */
  edited(request: RequestView): RequestView {
    return editedView(request, this.requestEdits)
  }

  /** Edits of a filter stand behind those of the filters before it. */
  editRequest(edits: HeaderEdits): void {
    this.requestEdits = joinedEdits(this.requestEdits, edits)
  }

  editReply(edits: HeaderEdits): void {
    this.replyEdits = joinedEdits(this.replyEdits, edits)
  }

  /** The filter that made the request wait has answered it after all. */
  countLateAnswer(): void {
    const { at, verdicts } = (this.route?.filters ?? this.host!.firstFilters)[this.nextFilter - 1]!
    verdicts[at + Verdict.answer]! += 1
  }

  private findUpstream(route: Route, mesh: MeshView, request: RequestMessage, random: () => number): Upstream | Stop {
    if (route.destinations.length > 1) this.draw = random()
    const destination =
      this.subset === ''
        ? chooseDestination(route, this.draw)
        : subsetOf(route, this.host!.name as ServiceKey, this.subset)
    if (destination === undefined) return noDestination(route.spec.name)
    this.destination = destination
    const { clusterKey, portKeys } = destination
    const key = portKeys === null ? clusterKey : clusterKeyFor(destination, request.namedPort, request.localPort)
    return mesh.upstream(key) ?? unknown
  }

  /**
   * Instead of `resolve`: the rules as they stand here, for a request that was led to a destination elsewhere. Where
   * they lead elsewhere now, none of them applies.
   */
  rejoin(mesh: MeshView, request: RequestMessage, listenerHost: string | null, clusterKey: string): void {
    const stop = listenerHost === null ? this.findNamedHost(mesh, request) : this.findListenerHost(mesh, listenerHost)
    const route = stop === null ? matchRoute(this.host!, this.edited(request), this.token) : undefined
    const keyOf = (one: Destination): string => clusterKeyFor(one, request.namedPort, request.localPort)
    const destination = route?.destinations.find((one) => keyOf(one) === clusterKey)
    if (route === undefined || destination === undefined) return
    this.route = route
    this.destination = destination
    this.nextFilter = route.filters.length
  }

  /** The answer to a request whose destination is unknown. */
  unknownAnswer(): Answer {
    if (this.destination !== null) return unknownDestination(this.destination)
    return mayBeAName(this.name) ? unknownService(this.name) : nameNotAllowed(this.name)
  }

  reset(): void {
    this.host = null
    this.route = null
    this.destination = null
    this.requestEdits = null
    this.replyEdits = null
    this.token = null
    this.draw = 0
    this.isOverridden = false
    this.subset = ''
    this.name = ''
    this.nextFilter = 0
  }
}
