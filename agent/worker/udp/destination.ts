/**
 * Who a UDP session goes to: policies and routes once, at its first datagram, an endpoint then and whenever the one in
 * hand cannot be used any more.
 */
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { ShareHolder } from '../balance/fair-share.ts'
import type { EndpointState } from '../balance/types.ts'
import type { Upstream } from '../connect/upstream.ts'
import { askAboutConnection } from '../filters/filter.ts'
import { chooseDestination, clusterKeyFor } from '../route/destination.ts'
import { connectionHash } from '../route/hash-key.ts'
import { matchTcpRoute } from '../route/tcp-route.ts'
import type { ConnectionView } from '../route/types.ts'
import { noIdentity } from '../transport/transport.ts'
import type { NoRoom } from './session-table.ts'
import type { DropReason } from './udp-counts.ts'
import type { UdpDeps } from './udp-deps.ts'

/** Why there is none. `flag`: Envoy's response flag. */
export interface Nowhere {
  readonly kind: 'nowhere'
  readonly reason: DropReason
  readonly flag: string
  /** For the log, where an operator can do something about it. */
  readonly text?: string
}

const nowhere = (reason: DropReason, flag: string, text?: string): Nowhere =>
  text === undefined ? { kind: 'nowhere', reason, flag } : { kind: 'nowhere', reason, flag, text }
const noRoute = nowhere('no_route', 'NR')
const noEndpoint = nowhere('no_endpoint', 'UH')

/**
 * Admitted: `cluster.release(holder.share, true)` must follow exactly once. `makeWay`: a session that counts for less
 * gives its place where all that the service may have are taken.
 */
export function findUpstream(
  deps: UdpDeps,
  virtualHost: string,
  view: ConnectionView,
  holder: ShareHolder,
  makeWay: () => NoRoom | null,
): Upstream | Nowhere {
  const { clock, mesh, random } = deps
  const host = mesh.names.host(virtualHost)
  const route = host === undefined ? undefined : matchTcpRoute(host, view)
  if (route === undefined) return noRoute
  const context = { view, peer: noIdentity, now: clock.now, random, note: () => {} }
  for (const filter of route.filters) {
    const refusal = askAboutConnection(filter, context)
    if (refusal !== null) return nowhere('denied', refusal.flag)
  }
  const destination = chooseDestination(route, random())
  const upstream = destination === undefined ? undefined : mesh.upstream(clusterKeyFor(destination, 0, view.localPort))
  if (upstream === undefined) return noRoute
  const { cluster } = upstream
  const { proxyProtocol, tls } = cluster.policy
  if (tls !== undefined && tls.mode !== 'disable')
    return nowhere('unsupported', 'UC', `${cluster.service}: a rule wants TLS, which UDP has not`)
  if (proxyProtocol !== 'off')
    return nowhere('unsupported', 'UC', `${cluster.service}: a rule wants a PROXY header, which UDP has not`)
  upstream.uses++
  const refusal = cluster.admitConnection(clock.now, holder)
  if (refusal === null) return upstream
  const full = refusal.code === 'E_BALANCE_OVERFLOW' ? makeWay() : 'overflow'
  if (full !== null) return nowhere(full, refusal.flag)
  const again = cluster.admitConnection(clock.now, holder)
  return again === null ? upstream : nowhere('overflow', again.flag)
}

/** Endpoints that are looked at for one datagram. */
export const maxPicks = 3

/** An endpoint beside those that were `tried`, as long as there is another one. */
export function pickEndpoint(
  deps: UdpDeps,
  { cluster, hashKey }: Upstream,
  view: ConnectionView,
  tried: EndpointState[],
): EndpointState | Nowhere {
  const hash = hashKey === null ? undefined : connectionHash(hashKey, view)
  const picked = cluster.pick({
    now: deps.clock.now,
    random: deps.random,
    hash: hash ?? 0,
    hasHash: hash !== undefined,
    tried: tried.length > 0 ? tried : null,
    original: '',
  })
  if (picked.kind === 'refusal') return noEndpoint
  if (!deps.leadsBack(picked.address, picked.port, cluster.service as ServiceKey)) return picked
  const at = `${picked.address}:${picked.port}`
  return nowhere('loop', 'UF', `${cluster.service}: ${at} is a UDP port of this agent; what goes there would come back`)
}
