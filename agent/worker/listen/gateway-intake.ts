import type { GatewayServerSpec } from '../../../contracts/snapshot.ts'
import { rawTlsProtocols } from '../../../contracts/words.ts'
import { readClientHello } from '../transport/tls/client-hello.ts'
import type { ServerWish } from '../transport/tls/handshakes.ts'
import type { HandshakesInUse } from '../transport/tls/open-tls.ts'
import { handshakeTimeoutMs } from '../transport/tls/words.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'
import { FirstBytes } from './first-bytes.ts'
import type { FirstBytesDeps } from './first-bytes.ts'
import { serverContext } from './listener-context.ts'

export interface GatewayIntakeDeps extends FirstBytesDeps {
  readonly handshakes: HandshakesInUse
  /** What a port of a gateway has for a server name; undefined = nothing. */
  readonly serverAt: (listener: string, serverName: string) => GatewayServerSpec | undefined
}

/** Hellos that wait for their rest, over all ports: beyond it the oldest gives its place. */
const maxWaiting = 4096
const httpProtocols: readonly string[] = ['h2', 'http/1.1']

/**
 * TLS at a port of a gateway: the server name of the hello chooses the server, which passes it as it is or ends it
 * here. A name that no server has, and what is no TLS, is closed and counted.
 */
export class GatewayIntake implements IntakeStep {
  private readonly deps: GatewayIntakeDeps
  /** In the order of their arrival. */
  private readonly waiting = new Set<GatewayHello>()

  constructor(deps: GatewayIntakeDeps) {
    this.deps = deps
  }

  begin(arriving: Arriving, next: NextStep): void {
    const { spec } = arriving
    if (spec.kind !== 'gateway' || spec.servers.every(({ tls }) => tls === undefined)) next(arriving)
    else {
      const [oldest] = this.waiting
      if (this.waiting.size >= maxWaiting) oldest?.refuse('crowded')
      const hello = new GatewayHello(this.deps, arriving, (one) => this.waiting.delete(one), next)
      this.waiting.add(hello)
      hello.begin(handshakeTimeoutMs)
    }
  }
}

class GatewayHello extends FirstBytes {
  private readonly deps: GatewayIntakeDeps
  private readonly onOver: (hello: GatewayHello) => void
  private readonly next: NextStep

  constructor(deps: GatewayIntakeDeps, arriving: Arriving, onOver: (hello: GatewayHello) => void, next: NextStep) {
    super(deps, arriving)
    this.deps = deps
    this.onOver = onOver
    this.next = next
  }

  onTimer(): void {
    this.refuse('timeout')
  }

  refuse(reason: string): void {
    const { spec, transport } = this.arriving
    this.deps.handshakes.refused(reason, spec.name, transport)
    this.end()
  }

  protected look(): boolean {
    const { arriving, deps, received } = this
    if (received.length === 0) return false
    const hello = readClientHello(received)
    if (hello === 'more') return false
    const server = hello === 'none' ? undefined : deps.serverAt(arriving.spec.name, hello.serverName)
    if (hello === 'none') this.refuse('no_tls')
    else if (server?.tls === undefined) this.refuse('unknown_server_name')
    else {
      this.finish()
      arriving.serverName = hello.serverName
      arriving.context = serverContext(arriving.context, server)
      this.proceed(server)
    }
    return true
  }

  private proceed(server: GatewayServerSpec): void {
    const { arriving, deps, received } = this
    const wish = wishFor(arriving.spec.name, server)
    if (wish === undefined) {
      arriving.received = received
      this.next(arriving)
      return
    }
    deps.handshakes.serve(arriving.transport, received, wish, {
      onSecure: (transport) => {
        arriving.transport = transport
        arriving.received = null
        this.next(arriving)
      },
      onInsecure: () => arriving.onEnd(),
    })
  }

  protected override finish(): void {
    this.onOver(this)
    super.finish()
  }
}

/** undefined: the TLS is not ours. */
function wishFor(listener: string, { protocol, tls }: GatewayServerSpec): ServerWish | undefined {
  if (tls === undefined || tls.mode === 'passthrough') return undefined
  if (tls.mode === 'istio-mutual')
    return { listener, identity: undefined, protocols: protocol === 'http' ? httpProtocols : rawTlsProtocols }
  const { credential, mode, subjectAltNames = [] } = tls
  // what a raw application speaks inside is its own affair, so nothing is chosen
  const protocols = protocol === 'http' ? httpProtocols : []
  return { listener, identity: undefined, protocols, own: { credential, isMutual: mode === 'mutual', subjectAltNames } }
}
