import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { once } from 'node:events'

/**
 * Passes bytes between whoever connects and an application, and holds what the application says while it is shut: a
 * call behind it is in the middle for as long as a test wants.
 */
export class Gate {
  private readonly server: Server
  private readonly held: { readonly to: Socket; readonly bytes: Buffer }[] = []
  private readonly sockets = new Set<Socket>()
  private isShut = false
  connections = 0

  constructor(port: number) {
    this.server = createServer((near) => {
      this.connections++
      const far = connect(port, '127.0.0.1')
      for (const socket of [near, far]) {
        this.sockets.add(socket)
        socket.on('error', () => socket.destroy())
      }
      near.on('data', (bytes: Buffer) => far.write(bytes))
      far.on('data', (bytes: Buffer) => {
        if (this.isShut) this.held.push({ to: near, bytes })
        else near.write(bytes)
      })
      near.on('close', () => far.destroy())
      far.on('close', () => near.destroy())
    })
  }

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    return (this.server.address() as AddressInfo).port
  }

  /** Bytes that wait. */
  get heldBytes(): number {
    return this.held.reduce((sum, { bytes }) => sum + bytes.length, 0)
  }

  shut(): void {
    this.isShut = true
  }

  open(): void {
    this.isShut = false
    for (const { bytes, to } of this.held.splice(0)) to.write(bytes)
  }

  close(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}
