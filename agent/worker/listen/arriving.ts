import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { ProxyHeader } from '../../../contracts/proxy-protocol.ts'
import type { ListenerSpec, SourceAppSpec } from '../../../contracts/snapshot.ts'
import { noIdentity } from '../transport/transport.ts'
import type { Transport } from '../transport/transport.ts'
import type { ListenerContext } from './listener-context.ts'
import type { MovedProxyInfo } from './movable.ts'
import type { Tunnel } from './tunnels/tunnel.ts'

/**
 * A connection between its accept and its protocol. The intake steps write down what they find out; the bounds count it
 * until `end`.
 */
export class Arriving {
  transport: Transport
  readonly spec: ListenerSpec
  context: ListenerContext
  proxy: MovedProxyInfo | null = null
  /** The PROXY header as it came, whole and alone; the steps that judge it need its bytes. */
  introduction: { readonly header: ProxyHeader; readonly bytes: Buffer } | null = null
  /** By the transport's proof, else by what the host knows. */
  identity: PeerIdentity = noIdentity
  source: SourceAppSpec | undefined = undefined
  /** In the caller's TLS hello; '' = none, or nobody asked. */
  serverName = ''
  tunnel: Tunnel | undefined = undefined
  /** Read and not consumed. */
  received: Buffer | null = null
  /** To be called exactly once, when the connection has ended or has left this process. */
  onEnd: () => void
  /** Position in the row of steps. */
  nextStep = 0

  constructor(transport: Transport, spec: ListenerSpec, context: ListenerContext, onEnd: () => void) {
    this.transport = transport
    this.spec = spec
    this.context = context
    this.onEnd = onEnd
  }

  /** It goes no further: closes what is open. */
  end(): void {
    this.transport.close()
    this.onEnd()
  }
}

export type NextStep = (arriving: Arriving) => void

/** One step of the way from a socket to its protocol: a header to read, an admission, a question who calls. */
export interface IntakeStep {
  /**
   * Calls `next(arriving)`, now or in a later turn, or ends it: exactly one of the two. The transport is paused at both
   * ends.
   */
  begin(arriving: Arriving, next: NextStep): void
}
