/** An endpoint of HTTP/2 that says whatever it likes, and nothing by itself but its SETTINGS. */
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

import { HpackDecoder, Scratch } from '../../../agent/worker/protocols/http2/hpack/decoder.ts'
import { NameTable } from '../../../agent/worker/protocols/http2/hpack/names.ts'
import { block, Flags, frame, framesOf, magic, settings, Type } from './frames.ts'
import type { Frame } from './frames.ts'

export interface RawRequest {
  readonly streamId: number
  /** Method and path. */
  readonly asks: string
}

export class RawH2Connection {
  readonly socket: Socket
  isClosed = false
  private bytes: Buffer = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (piece: Buffer) => (this.bytes = Buffer.concat([this.bytes, piece])))
    socket.on('error', () => {})
    socket.on('close', () => (this.isClosed = true))
  }

  get frames(): Frame[] {
    return framesOf(this.bytes.subarray(magic.length))
  }

  /** Heads of requests, in the order in which they came. */
  get requests(): RawRequest[] {
    const decoder = new HpackDecoder(new NameTable(), new Scratch())
    return this.frames
      .filter(({ type }) => type === Type.headers)
      .map(({ payload, streamId }) => {
        const fields = new Map<string, string>()
        const onField = ({ name, value }: { name: string; value: string }): boolean => fields.set(name, value).size > 0
        if (!decoder.decode(payload, 0, payload.length, { onField })) throw new Error('a block that cannot be decoded')
        return { streamId, asks: `${fields.get(':method')} ${fields.get(':path')}` }
      })
  }

  send(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames))
  }

  /** A whole reply. */
  answer(streamId: number, status = '200'): void {
    this.send(frame(Type.headers, Flags.endHeaders | Flags.endStream, streamId, block([[':status', status]])))
  }
}

export class RawH2Endpoint {
  readonly connections: RawH2Connection[] = []
  private readonly server: Server

  static async start(first: Buffer = settings()): Promise<RawH2Endpoint> {
    const endpoint = new RawH2Endpoint(first)
    await new Promise<void>((resolve) => endpoint.server.listen(0, '127.0.0.1', resolve))
    return endpoint
  }

  private constructor(first: Buffer) {
    this.server = createServer({ noDelay: true }, (socket) => {
      this.connections.push(new RawH2Connection(socket))
      socket.write(first)
    })
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Of all connections. */
  get asked(): string[] {
    return this.connections.flatMap(({ requests }) => requests.map(({ asks }) => asks))
  }

  close(): void {
    for (const { socket } of this.connections) socket.destroy()
    this.server.close()
  }
}
