/**
 * The connections of one host's Nacos clients, on their way from the port of the API to the face that stands for that
 * host. The face listens on loopback; who comes by which connection is told by its source address, one of 127.128.0.0/9
 * that no other connection has meanwhile, and counts only where the kernel says that the center itself dialled.
 */
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

export interface TunnelEndsDeps {
  /** The user that owns the other end of a connection, by the kernel. */
  uidOf(socket: Socket): number | undefined
  /** Of this process. */
  readonly ownUid: number | undefined
}

const addresses = 1 << 23

export class TunnelEnds {
  private readonly deps: TunnelEndsDeps
  /** User of the client, by source address. */
  private readonly users = new Map<string, number | undefined>()
  private readonly sockets = new Set<Duplex>()
  private next = 0

  constructor(deps: TunnelEndsDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.sockets.size
  }

  /** The user of the host that speaks by a connection which the face has accepted; undefined = nobody knows. */
  userOf(accepted: Socket): number | undefined {
    const user = this.users.get(accepted.remoteAddress ?? '')
    return user !== undefined && this.deps.uidOf(accepted) === this.deps.ownUid ? user : undefined
  }

  /** Takes the client's connection over, until one side ends. */
  join(client: Duplex, user: number | undefined, port: number, onEnd: () => void): void {
    const localAddress = this.freeAddress()
    this.users.set(localAddress, user)
    this.sockets.add(client)
    const face = connect({ host: '127.0.0.1', port, localAddress, noDelay: true })
    const end = (): void => {
      client.destroy()
      face.destroy()
      if (!this.sockets.delete(client)) return
      this.users.delete(localAddress)
      onEnd()
    }
    for (const socket of [client, face]) socket.once('error', end).once('close', end)
    client.pipe(face)
    face.pipe(client)
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  private freeAddress(): string {
    for (;;) {
      const at = (this.next = (this.next % (addresses - 2)) + 1)
      const address = `127.${128 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}`
      if (!this.users.has(address)) return address
    }
  }
}
