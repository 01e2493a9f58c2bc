/**
 * Which servers of which Gateways a host opens: one plan per address and port. Servers of one port stand beside each
 * other as far as they agree; where they do not, the one first in the order of `namespace/name` decides, and the other
 * one is told so.
 */
import type { GatewayTlsSpec } from '../../../../../contracts/snapshot.ts'
import type { ResourceOf } from '../rule-resource.ts'
import type { GatewayHost } from './gateway-host.ts'
import { httpProtocols } from './gateway-shape.ts'
import type { GatewayServer, ServerHost } from './gateway-shape.ts'

type Gateway = ResourceOf<'Gateway'>

/** A server of a Gateway with the hosts that are its own on this port. */
export interface PlannedServer {
  readonly gateway: Gateway
  readonly hosts: readonly ServerHost[]
  readonly redirects: boolean
}

/** Servers whose TLS is the same are one: a connection of theirs may ask for each of their hosts. */
export interface ServerGroup {
  readonly protocol: 'http' | 'tcp'
  readonly tls: GatewayTlsSpec | undefined
  readonly names: string[]
  readonly servers: PlannedServer[]
}

export interface PortPlan {
  readonly address: string
  readonly port: number
  readonly family: 'HTTP' | 'TCP' | 'TLS'
  readonly first: Gateway
  readonly groups: ServerGroup[]
}

/** About the resource of this id. */
export type Note = (id: string, path: string, message: string) => void

export function planPorts(gateways: readonly Gateway[], host: GatewayHost, note: Note): PortPlan[] {
  const plans = new Map<string, PortPlan>()
  for (const gateway of gateways) {
    if (!isSelected(gateway, host)) continue
    gateway.spec.servers.forEach((server, at) => {
      const path = `spec.servers[${at}]`
      const tell = (field: string, message: string): void => note(gateway.id, `${path}${field}`, message)
      const address = server.bind ?? host.addresses[0]!
      const port = server.port.number
      const problem = notAllowed(host, address, port)
      if (problem !== undefined) {
        tell(problem.field, problem.message)
        return
      }
      const family = familyOf(server)
      const key = `${address} ${port}`
      const plan = plans.get(key) ?? { address, port, family, first: gateway, groups: [] }
      plans.set(key, plan)
      if (plan.family === family) addServer(plan, gateway, server, tell)
      else
        tell(
          '.port.protocol',
          `port ${port} is one of ${plan.family} by Gateway ${nameOf(plan.first)}, which comes first; this server is not used`,
        )
    })
  }
  return [...plans.values()]
}

function isSelected({ spec }: Gateway, { labels }: GatewayHost): boolean {
  return Object.entries(spec.selector ?? {}).every(([name, value]) => labels[name] === value)
}

function notAllowed(
  { addresses, ports }: GatewayHost,
  address: string,
  port: number,
): { field: string; message: string } | undefined {
  if (!ports.includes(port))
    return { field: '.port.number', message: `${port} is not among gateway.ports of this host, so it is not opened` }
  if (!addresses.includes(address))
    return { field: '.bind', message: `${address} is not among gateway.addresses of this host, so it is not opened` }
  return undefined
}

function familyOf({ port: { protocol } }: GatewayServer): PortPlan['family'] {
  if (httpProtocols.has(protocol)) return 'HTTP'
  return protocol === 'TCP' ? 'TCP' : 'TLS'
}

function addServer(
  plan: PortPlan,
  gateway: Gateway,
  server: GatewayServer,
  tell: (field: string, message: string) => void,
): void {
  const tls = tlsOf(server)
  const isHttp = plan.family === 'HTTP' || (server.port.protocol === 'HTTPS' && tls?.mode !== 'passthrough')
  const protocol = isHttp ? 'http' : 'tcp'
  const planned = { gateway, redirects: server.tls?.httpsRedirect === true }
  const same = plan.groups.find((one) => one.protocol === protocol && isSameTls(one.tls, tls))
  if (plan.family === 'TCP' && same !== undefined) {
    tell('', `port ${plan.port} is that of Gateway ${nameOf(plan.first)}, which comes first; this server is not used`)
    return
  }
  const group = same ?? { protocol, tls, names: plan.family === 'TLS' ? [] : ['*'], servers: [] }
  const hosts = server.hosts.filter((host, at) => {
    if (plan.family !== 'TLS') return true
    const other = plan.groups.find((one) => one !== group && one.names.includes(host.name))
    if (other === undefined) {
      if (!group.names.includes(host.name)) group.names.push(host.name)
      return true
    }
    tell(
      `.hosts[${at}]`,
      `${host.name}: its TLS on port ${plan.port} is that of Gateway ${nameOf(other.servers[0]!.gateway)}, which comes first`,
    )
    return false
  })
  if (hosts.length === 0) return
  group.servers.push({ ...planned, hosts })
  if (same === undefined) plan.groups.push(group)
}

function tlsOf({ port, tls }: GatewayServer): GatewayTlsSpec | undefined {
  if (tls === undefined || (port.protocol !== 'HTTPS' && port.protocol !== 'TLS')) return undefined
  const { credentialName: credential = '', subjectAltNames } = tls
  switch (tls.mode) {
    case 'SIMPLE':
      return { mode: 'simple', credential }
    case 'MUTUAL':
      return { mode: 'mutual', credential, ...(subjectAltNames === undefined ? {} : { subjectAltNames }) }
    case 'ISTIO_MUTUAL':
      return { mode: 'istio-mutual' }
    default:
      return { mode: 'passthrough' }
  }
}

function isSameTls(one: GatewayTlsSpec | undefined, other: GatewayTlsSpec | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function nameOf({ name, namespace }: Gateway): string {
  return `${namespace}/${name}`
}
