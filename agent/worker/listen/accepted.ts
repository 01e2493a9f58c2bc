import { provedId } from '../../../contracts/peer-identity.ts'
import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { ListenerContext } from './listener-context.ts'
import type { MovedProxyInfo } from './movable.ts'
import type { Tunnel } from './tunnels/tunnel.ts'

/** What is known of a connection before its first byte of traffic. */
export interface Accepted {
  readonly listener: ListenerContext
  /** What a PROXY header said; null = there was none. */
  readonly proxy: MovedProxyInfo | null
  /** The calling application, where the host's configuration tells it from the peer. */
  readonly source: SourceAppSpec | undefined
  /** Who the caller is. */
  readonly identity: PeerIdentity
  /** In the caller's TLS hello, where a route asks for it; '' = none. */
  readonly serverName: string
  /** The caller named where its bytes go. */
  readonly tunnel?: Tunnel | undefined
  /** Monotonic ms. */
  readonly acceptedAt: number
  /** Must be called exactly once, when the connection has ended or has left this process: the bounds count it. */
  readonly onEnd: () => void
}

/** What the certificate of a caller of this host's applications says; '' = it showed none. */
export function provedCaller({ identity, listener }: Pick<Accepted, 'identity' | 'listener'>): string {
  return listener.reporter === 'destination' ? provedId(identity) : ''
}
