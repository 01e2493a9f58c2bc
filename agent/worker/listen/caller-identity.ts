import { readFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'

import type { MeshSpec, SourceAppSpec } from '../../../contracts/snapshot.ts'
import { SocketOwner } from '../../../native/socket-owner.ts'
import { hexAddress } from './port-owner.ts'

/** Both ends of an accepted connection: the caller's and ours. */
export interface LoopbackPeer {
  readonly address: string
  readonly port: number
  readonly localAddress: string
  readonly localPort: number
}

/** Answers older than this are read again: many connections of one burst share one reading of the table. */
const shareMs = 5

/**
 * The calling application by the user id that owns the caller's end of a loopback connection. One look per connection, before its first byte is read, and only
 * when the configuration names users. undefined for peers of other hosts and for users without an application.
 *
 * The kernel is asked for the one socket (`native/socket-owner.ts`); where it does not answer, the table of all sockets is read (/proc/net/tcp, column uid), whose
 * cost grows with the number of connections of the host.
 */
export class CallerIdentity {
  private readonly now: () => number
  private readonly read: (file: string) => Promise<string>
  private readonly openOwner: () => SocketOwner | undefined
  private owner: { readonly asked: SocketOwner | undefined } | undefined
  private shared: { at: number; table: Promise<string> } | undefined

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

  async find(peer: LoopbackPeer, apps: MeshSpec['sourceAppsByUid']): Promise<SourceAppSpec | undefined> {
    const isLoopback4 = isIPv4(peer.address) && peer.address.startsWith('127.')
    if (!isLoopback4 && peer.address !== '::1') return undefined
    this.owner ??= { asked: this.openOwner() }
    const local = { address: peer.localAddress, port: peer.localPort }
    const uid = this.owner.asked?.uidOf(peer, local) ?? (isLoopback4 ? await this.uidOf(peer) : undefined)
    return uid === undefined ? undefined : apps[uid]
  }

  private async uidOf(peer: LoopbackPeer): Promise<string | undefined> {
    const local = `${hexAddress(peer.address)}:${peer.port.toString(16).toUpperCase().padStart(4, '0')}`
    let table: string
    try {
      table = await this.table()
    } catch {
      return undefined
    }
    const at = table.indexOf(`: ${local} `)
    if (at < 0) return undefined
    const end = table.indexOf('\n', at)
    // sl: local remote state tx:rx tr:when retransmits uid …
    return table
      .slice(at + 2, end)
      .trim()
      .split(/\s+/)[6]
  }

  private table(): Promise<string> {
    const now = this.now()
    if (this.shared === undefined || now - this.shared.at > shareMs) {
      this.shared = { at: now, table: this.read('/proc/net/tcp') }
    }
    return this.shared.table
  }
}
