/** UDP applications and callers of tests: sockets on loopback that keep what they got. */
import { createSocket } from 'node:dgram'
import type { RemoteInfo, Socket } from 'node:dgram'
import { eventually } from '../worker/eventually.ts'

export interface Got {
  readonly text: string
  readonly port: number
}

export class UdpSocket {
  readonly port: number
  readonly got: Got[] = []
  /** Called for each datagram, as a server would answer. */
  answer: ((text: string) => string | undefined) | undefined
  private readonly socket: Socket
  private isClosed = false

  static async open(port = 0, address = '127.0.0.1'): Promise<UdpSocket> {
    const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4_194_304 })
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, address, resolve)
    })
    return new UdpSocket(socket)
  }

  /** Answers `NAME|` and what it got. */
  static async echo(name: string, port = 0, address = '127.0.0.1'): Promise<UdpSocket> {
    const socket = await UdpSocket.open(port, address)
    socket.answer = (text) => `${name}|${text}`
    return socket
  }

  private constructor(socket: Socket) {
    this.socket = socket
    this.port = socket.address().port
    socket.on('error', () => {})
    socket.on('message', (bytes: Buffer, { address, port }: RemoteInfo) => {
      const text = bytes.toString('latin1')
      this.got.push({ text, port })
      const said = this.answer?.(text)
      if (said !== undefined) socket.send(Buffer.from(said, 'latin1'), port, address)
    })
  }

  send(port: number, text: string, address = '127.0.0.1'): void {
    this.socket.send(Buffer.from(text, 'latin1'), port, address)
  }

  /** Sends and waits for what comes back, whatever came before. */
  async ask(port: number, text: string, address = '127.0.0.1'): Promise<string> {
    const before = this.got.length
    this.send(port, text, address)
    await eventually(() => this.got.length > before)
    return this.got[before]!.text
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.socket.close()
  }
}
