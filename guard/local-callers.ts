/**
 * Which user of this host is at the other end of a connection to a loopback port, and who listens at a port: asked of
 * the kernel, never of the caller. Where the kernel cannot be asked for one socket, its table is read, at most each 5
 * ms.
 */
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { isLoopback } from '../contracts/ip-literal.ts'
import { listenerUid } from '../native/listener-owner.ts'
import { SocketOwner } from '../native/socket-owner.ts'
import { socketTables, uidInTables } from '../native/socket-table.ts'

const tableAgeMs = 5

export class LocalCallers {
  private readonly owner: SocketOwner | undefined = SocketOwner.open()
  private readonly now: () => number
  private tables: { readonly at: number; readonly texts: readonly string[] } | undefined

  /** `now`: monotonic ms. */
  constructor(now: () => number) {
    this.now = now
  }

  /**
   * undefined for a peer of another host, and for one whose owner is not known (any more). Right only for a connection
   * that has just been accepted.
   */
  uidOf(socket: Socket): number | undefined {
    const { remoteAddress, remotePort, localAddress, localPort } = socket
    if (remoteAddress === undefined || remotePort === undefined) return undefined
    if (localAddress === undefined || localPort === undefined) return undefined
    if (!isLoopback(remoteAddress)) return undefined
    const peer = { address: remoteAddress, port: remotePort }
    const local = { address: localAddress, port: localPort }
    const uid = this.owner?.uidOf(peer, local, descriptorOf(socket))
    return uid !== undefined || this.owner?.hasAnswered === true ? uid : uidInTables(this.read(), peer, local)
  }

  /** undefined = nobody listens there, or it cannot be told. */
  uidOfListener(address: string, port: number): number | undefined {
    return listenerUid(this.owner, { address, port })
  }

  close(): void {
    this.owner?.close()
  }

  private read(): readonly string[] {
    const now = this.now()
    if (this.tables === undefined || now - this.tables.at > tableAgeMs)
      this.tables = { at: now, texts: socketTables.map(tableText) }
    return this.tables.texts
  }
}

function tableText(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

/** Node tells no descriptor of a socket in public; -1 = not known. */
function descriptorOf(socket: Socket): number {
  return (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1
}
