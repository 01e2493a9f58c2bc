import { readFile } from 'node:fs/promises'
import { isLoopback } from '../../../contracts/ip-literal.ts'
import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import { quotaKey } from '../../../contracts/quota-key.ts'
import { SocketOwner } from '../../../native/socket-owner.ts'
import { socketTables, uidInTables } from '../../../native/socket-table.ts'
import { noIdentity } from '../transport/transport.ts'
import type { Transport } from '../transport/transport.ts'
import type { Accepted } from './accepted.ts'

/** Both ends of an accepted connection: the caller's and ours. */
export interface LoopbackPeer {
  readonly address: string
  readonly port: number
  readonly localAddress: string
  readonly localPort: number
}

/**
 * Under which name a caller's share of bounds is kept: its application; else the workload that its certificate proves,
 * its user, or its address.
 */
export function callerName(
  { identity, source }: Pick<Accepted, 'identity' | 'source'>,
  transport: Pick<Transport, 'peer' | 'descriptor'>,
  callers: Pick<CallerIdentity, 'shareOf'>,
): string {
  if (source !== undefined) return source.app
  return identity.kind === 'spiffe' ? identity.id : quotaKey(callers.shareOf(transport, identity))
}

/** Answers older than this are read again: many connections of one burst share one reading of the table. */
const shareMs = 5

/**
 * The caller's user id, which owns its end of a loopback connection. One look per connection, before its first byte is
 * read, and only when the configuration names users.
 *
 * The kernel is asked for the one socket (`native/socket-owner.ts`); where it does not answer, the table of all sockets
 * is read (/proc/net/tcp, column uid), whose cost grows with the number of connections of the host. A connection that
 * its caller has closed already is nobody's: the kernel reports such sockets as user 0.
 */
export class CallerIdentity {
  private readonly now: () => number
  private readonly read: (file: string) => Promise<string>
  private readonly openOwner: () => SocketOwner | undefined
  private owner: { readonly asked: SocketOwner | undefined } | undefined
  private shared: { readonly at: number; readonly tables: Promise<readonly string[]> } | undefined

  constructor(
    now: () => number,
    read: (file: string) => Promise<string> = (file) => readFile(file, 'latin1'),
    openOwner: () => SocketOwner | undefined = () => SocketOwner.open(),
  ) {
    this.now = now
    this.read = read
    this.openOwner = openOwner
  }

  close(): void {
    this.owner?.asked?.close()
    this.owner = undefined
  }

  /**
   * A user of this host, or none for peers of other hosts. `descriptor` is our end's, -1 where the transport does not
   * tell it.
   */
  async find(peer: LoopbackPeer, descriptor = -1): Promise<PeerIdentity> {
    const uid = await this.uidOf(peer, descriptor)
    return uid === undefined ? noIdentity : { kind: 'user', uid }
  }

  /**
   * Whose share of a bound a connection is: a user of this host, as far as the kernel tells at once, else an address.
   * Right also where callers are not told apart otherwise.
   */
  shareOf(transport: Pick<Transport, 'peer' | 'descriptor'>, identity: PeerIdentity): string {
    const peer = transport.peer()
    const known = identity.kind === 'none' ? peer.identity : identity
    if (known.kind === 'user') return `user ${known.uid}`
    this.owner ??= { asked: this.openOwner() }
    const local = { address: peer.localAddress, port: peer.localPort }
    const uid = isLoopback(peer.address) ? this.owner.asked?.uidOf(peer, local, transport.descriptor) : undefined
    return uid === undefined ? peer.address : `user ${uid}`
  }

  /** undefined = a peer of another host, or one whose owner is not known (any more). */
  private async uidOf(peer: LoopbackPeer, descriptor: number): Promise<number | undefined> {
    if (!isLoopback(peer.address)) return undefined
    this.owner ??= { asked: this.openOwner() }
    const local = { address: peer.localAddress, port: peer.localPort }
    const { asked } = this.owner
    const uid = asked?.uidOf(peer, local, descriptor)
    if (uid !== undefined || asked?.hasAnswered === true) return uid
    try {
      return uidInTables(await this.tables(), peer, local)
    } catch {
      return undefined
    }
  }

  private tables(): Promise<readonly string[]> {
    const now = this.now()
    if (this.shared === undefined || now - this.shared.at > shareMs)
      this.shared = { at: now, tables: Promise.all(socketTables.map((file) => this.read(file))) }
    return this.shared.tables
  }
}
