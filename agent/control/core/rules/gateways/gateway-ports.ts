/**
 * The ports that Gateways open on this host, with what stands behind them: listeners and virtual hosts of the snapshot.
 * The virtual hosts have no domains: only their port leads to them.
 */
import type { ServiceKey } from '../../../../../contracts/endpoint.ts'
import type { HttpRouteSpec, TcpRouteSpec, VirtualHostSpec } from '../../../../../contracts/route-spec.ts'
import type { RuleProblem } from '../../../../../contracts/rule-status.ts'
import type { GatewayServerSpec, ListenerSpec } from '../../../../../contracts/snapshot.ts'
import { formatHostPort } from '../../../config/scalars.ts'
import type { ResourceOf } from '../rule-resource.ts'
import { servicesOf } from '../route-destinations.ts'
import type { CompiledRoutes } from '../virtual-service.ts'
import { commonNames, names } from './bound-services.ts'
import type { GatewayHost } from './gateway-host.ts'
import { planPorts } from './server-plan.ts'
import type { Note, PlannedServer, PortPlan, ServerGroup } from './server-plan.ts'

type VirtualService = ResourceOf<'VirtualService'>
type Gateway = ResourceOf<'Gateway'>
type GatewayListener = Extract<ListenerSpec, { readonly kind: 'gateway' }>

export interface CompiledGateways {
  readonly listeners: readonly GatewayListener[]
  readonly virtualHosts: readonly VirtualHostSpec[]
  /** What they lead to. Sorted, each once. */
  readonly services: readonly ServiceKey[]
  /** By the id of a Gateway or VirtualService. */
  readonly notes: ReadonlyMap<string, readonly RuleProblem[]>
}

export interface GatewayRules {
  /** In their order. */
  readonly gateways: readonly Gateway[]
  /** Those that gateways may use, in their order. */
  readonly virtualServices: readonly VirtualService[]
  /** What a VirtualService says about a Gateway, its delegates in their places. */
  routesAt(rule: VirtualService, gateway: Gateway): CompiledRoutes
  /** The same route, with what policies of the host of this key add. */
  withPolicies(route: HttpRouteSpec, key: ServiceKey): HttpRouteSpec
  withTcpPolicies(route: TcpRouteSpec, key: ServiceKey): TcpRouteSpec
  /** What stands before everything that comes in at a port. */
  guarded(host: VirtualHostSpec, port: number): VirtualHostSpec
}

export const noGateways: CompiledGateways = { listeners: [], virtualHosts: [], services: [], notes: new Map() }

function gatewayListener(address: string, port: number): string {
  return `gateway ${formatHostPort({ host: address, port })}`
}

export function compileGateways(host: GatewayHost, rules: GatewayRules): CompiledGateways {
  const notes = new Map<string, RuleProblem[]>()
  const note: Note = (id, path, message) => {
    const known = notes.get(id) ?? []
    const isTold = known.some((one) => one.path === path && one.message === message)
    if (!isTold) notes.set(id, [...known, { path, line: 1, column: 1, message }])
  }
  const virtualHosts: VirtualHostSpec[] = []
  const listeners = planPorts(rules.gateways, host, note).map((plan): GatewayListener => {
    const name = gatewayListener(plan.address, plan.port)
    virtualHosts.push(empty(name))
    const ofPort = new PortHosts(name, plan, rules, note)
    const servers = plan.groups.map((group) => ofPort.server(group))
    virtualHosts.push(...ofPort.made)
    return {
      name,
      kind: 'gateway',
      address: plan.address,
      port: plan.port,
      proxyProtocol: 'off',
      protocol: plan.family === 'TCP' ? 'tcp' : 'http',
      servers,
      trustedProxies: host.trustedProxies,
    }
  })
  const services = new Set(virtualHosts.flatMap(servicesOf))
  return { listeners, virtualHosts, services: [...services].toSorted(), notes }
}

function empty(name: string): VirtualHostSpec {
  return { name, domains: [], http: [], tcp: [] }
}

/** The virtual hosts of one port. */
class PortHosts {
  readonly made: VirtualHostSpec[] = []
  private readonly listener: string
  private readonly plan: PortPlan
  private readonly rules: GatewayRules
  private readonly note: Note

  constructor(listener: string, plan: PortPlan, rules: GatewayRules, note: Note) {
    this.listener = listener
    this.plan = plan
    this.rules = rules
    this.note = note
  }

  server({ names: serverNames, protocol, servers, tls }: ServerGroup): GatewayServerSpec {
    const base = { names: serverNames, ...(tls === undefined ? {} : { tls }) }
    // the first name tells servers of a port apart: no other one has it
    const prefix = tls === undefined ? this.listener : `${this.listener} ${serverNames[0]!}`
    if (protocol === 'tcp') {
      const virtualHost = `${prefix} connections`
      this.add({ ...empty(virtualHost), tcp: this.connectionRoutes(servers, tls?.mode === 'passthrough') })
      return { ...base, protocol, virtualHost }
    }
    const hosts: Record<string, string> = {}
    for (const [name, http] of this.httpRoutes(servers)) {
      hosts[name] = `${prefix} ${name}`
      this.add({ ...empty(hosts[name]), http })
    }
    return { ...base, protocol, hosts }
  }

  private add(host: VirtualHostSpec): void {
    this.made.push(this.rules.guarded(host, this.plan.port))
  }

  /** Routes by the name in Host. */
  private httpRoutes(servers: readonly PlannedServer[]): Map<string, HttpRouteSpec[]> {
    const found = new Map<string, { readonly by: VirtualService | undefined; readonly routes: HttpRouteSpec[] }>()
    for (const { gateway, hosts } of servers.filter((one) => one.redirects))
      for (const { name } of hosts) if (!found.has(name)) found.set(name, { by: undefined, routes: [toHttps(gateway)] })
    for (const server of servers.filter((one) => !one.redirects)) {
      for (const {
        at,
        name,
        routes: { http = [] },
        rule,
      } of this.boundTo(server)) {
        const former = found.get(name)
        const key = rule.hosts![at]!.key
        const routes = http.map((route) => this.rules.withPolicies(route, key))
        if (former === undefined) found.set(name, { by: rule, routes })
        else if (former.by === undefined)
          this.note(rule.id, `spec.hosts[${at}]`, `${name}: redirected to https at ${this.listener}`)
        else if (former.by.namespace === rule.namespace) {
          if (former.by !== rule) former.routes.push(...routes)
        } else
          this.note(
            rule.id,
            `spec.hosts[${at}]`,
            `${name} at ${this.listener}: decided by VirtualService ${former.by.namespace}/${former.by.name}, which comes first`,
          )
      }
    }
    return new Map([...found].map(([name, { routes }]) => [name, routes]))
  }

  /** `byName`: those that go by the server name of a TLS that passes. */
  private connectionRoutes(servers: readonly PlannedServer[], byName: boolean): TcpRouteSpec[] {
    const routes = new Map<string, TcpRouteSpec>()
    for (const server of servers)
      for (const {
        at,
        routes: { tcp = [] },
        rule,
      } of this.boundTo(server))
        for (const route of tcp) {
          const isByName = route.matches.length > 0 && route.matches.every(({ sniHosts }) => sniHosts !== undefined)
          const key = `${rule.id} ${route.name}`
          if (isByName === byName && !routes.has(key))
            routes.set(key, this.rules.withTcpPolicies(route, rule.hosts![at]!.key))
        }
    return [...routes.values()]
  }

  private boundTo(server: PlannedServer) {
    const { gateway } = server
    return this.rules.virtualServices
      .filter((rule) => isBound(rule, gateway))
      .flatMap((rule) => {
        const routes = this.rules.routesAt(rule, gateway)
        return commonNames(server, rule).map(({ at, name }) => ({ at, name, routes, rule }))
      })
  }
}

/** By its own list, or by one of a match. */
function isBound({ namespace, spec }: VirtualService, gateway: Gateway): boolean {
  return names(spec.gateways, namespace, gateway)
}

function toHttps(gateway: Gateway): HttpRouteSpec {
  return {
    name: 'https-redirect',
    origin: gateway.origin('spec.servers'),
    matches: [],
    action: { kind: 'redirect', status: 301, scheme: 'https', port: 'from-protocol-default' },
    timeoutMs: 0,
  }
}
