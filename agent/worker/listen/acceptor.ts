import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { ListenerSpec, SourceAppSpec } from '../../../contracts/snapshot.ts'
import { HttpConnection } from '../forward/http-connection.ts'
import type { Road } from '../forward/road.ts'
import { TcpConnection } from '../forward/tcp-connection.ts'
import type { Transport } from '../transport/transport.ts'
import type { CallerIdentity } from './caller-identity.ts'
import { relayedContext } from './listener-context.ts'
import type { ListenerContext } from './listener-context.ts'
import type { MovedProxyInfo } from './movable.ts'
import { ProxyIntake, proxyInfo } from './proxy-intake.ts'
import type { RelayAdmission } from './relay-admission.ts'
import { ShedReply } from './shed-reply.ts'

export interface AcceptorDeps {
  readonly road: Road
  readonly callers: CallerIdentity
  readonly relays: RelayAdmission
}

/** Counts a listener's connections. */
export interface ConnectionCount {
  connections: number
}

/** Callers that are named by a relay's TLV without a host share this name. */
const unknownHost = 'unknown'

/**
 * From an accepted socket to a connection of the road: bounds, PROXY header, calling application, protocol. Bound: `maxConnections` of the worker's limits over all
 * listeners; beyond it a connection is closed at once and counted.
 */
export class Acceptor {
  connections = 0
  private readonly deps: AcceptorDeps

  constructor(deps: AcceptorDeps) {
    this.deps = deps
  }

  accept(transport: Transport, spec: ListenerSpec, context: ListenerContext, count: ConnectionCount): void {
    const { road } = this.deps
    road.clock.refresh()
    road.tallies.acceptedConnections++
    if (this.connections >= road.state.limits.maxConnections) {
      road.tallies.shedConnections++
      transport.close()
      return
    }
    const onEnd = this.counted(count)
    if (spec.proxyProtocol === 'off' && spec.kind !== 'relay') {
      this.identify(transport, context, null, null, onEnd)
      return
    }
    const deps = { wheel: road.wheel, now: () => road.clock.refresh(), timeoutMs: road.state.limits.headTimeoutMs }
    void new ProxyIntake(
      deps,
      transport,
      (header, rest) => {
        const proxy = proxyInfo(header, transport)
        if (spec.kind === 'relay') this.relay(transport, spec, context, proxy, rest, onEnd)
        else this.identify(transport, context, proxy, rest, onEnd)
      },
      () => {
        road.tallies.badProxyHeaders++
        onEnd()
      },
    )
  }

  /** Goes on with a connection whose way is known: accepted here, or moved from another process. */
  begin(
    transport: Transport,
    context: ListenerContext,
    proxy: MovedProxyInfo | null,
    source: SourceAppSpec | undefined,
    received: Buffer | null,
    onEnd: () => void,
  ): HttpConnection | TcpConnection {
    const { road } = this.deps
    const accepted = { listener: context, proxy, source, acceptedAt: road.clock.now, onEnd }
    if (context.protocol === 'http') {
      const connection = new HttpConnection(road, accepted, transport)
      connection.open(received)
      return connection
    }
    const connection = new TcpConnection(road, accepted, transport)
    connection.open(received)
    return connection
  }

  /** Counts a connection in; the answer takes it out again, once. */
  counted(count: ConnectionCount): () => void {
    this.connections++
    count.connections++
    let isCounted = true
    return () => {
      if (!isCounted) return
      isCounted = false
      this.connections--
      count.connections--
    }
  }

  private identify(
    transport: Transport,
    context: ListenerContext,
    proxy: MovedProxyInfo | null,
    received: Buffer | null,
    onEnd: () => void,
  ): void {
    const { callers, road } = this.deps
    const apps = road.state.mesh.sourceAppsByUid
    if (context.kind === 'inbound' || proxy !== null || !hasEntries(apps)) {
      this.begin(transport, context, proxy, undefined, received, onEnd)
      return
    }
    void callers.find(transport.peer(), apps, transport.descriptor).then((source) => {
      if (transport.isClosed) {
        onEnd()
        return
      }
      road.clock.refresh()
      this.begin(transport, context, proxy, source, received, onEnd)
    })
  }

  private relay(
    transport: Transport,
    spec: ListenerSpec & { readonly kind: 'relay' },
    context: ListenerContext,
    proxy: MovedProxyInfo,
    rest: Buffer,
    onEnd: () => void,
  ): void {
    const { relays, road } = this.deps
    const key = (proxy.service ?? '') as ServiceKey | ''
    const host = proxy.host ?? unknownHost
    const known = key === '' ? undefined : road.state.service(key)
    const isHttp = key === '' || known?.protocol === 'http'
    if (!relays.enter(host, spec.maxConnectionsPerHost, spec.maxConnections)) {
      road.tallies.shedConnections++
      if (isHttp) void new ShedReply(road, transport)
      else transport.close()
      onEnd()
      return
    }
    const leave = (): void => {
      relays.leave(host)
      onEnd()
    }
    if (key === '') {
      this.begin(transport, context, proxy, undefined, rest, leave)
      return
    }
    if (known !== undefined) {
      this.begin(transport, relayedContext(context, known), proxy, undefined, rest, leave)
      return
    }
    const waiting = {
      isParked: false,
      unpark: () => {
        const service = road.state.service(key)
        if (service === undefined) {
          transport.close()
          leave()
        } else {
          this.begin(transport, relayedContext(context, service), proxy, undefined, rest, leave)
        }
      },
    }
    if (!road.parked.park(key, waiting)) {
      transport.close()
      leave()
    }
  }
}

function hasEntries(record: object): boolean {
  for (const _ in record) return true
  return false
}
