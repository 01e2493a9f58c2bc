/** Both ends of a private RPC for tests: an application that serves, and one that calls over one connection. */
import { once } from 'node:events'
import net from 'node:net'
import type { RpcCodec } from '../../../rpc/codec.ts'
import { withId } from '../../../rpc/with-id.ts'
import { FrameKind, RpcFrame } from '../../../rpc/frame.ts'
import { FrameSplitter } from '../../../rpc/frame-splitter.ts'
import { HeldBudget } from '../../../rpc/held-budget.ts'

const maxBytes = 64 * 1024 * 1024

/** Calls `onFrame` with each whole frame that comes on the socket. */
function eachFrame(codec: RpcCodec, socket: net.Socket, onFrame: (bytes: Buffer, frame: RpcFrame) => void): void {
  const receiver = {
    onFrame(buf: Buffer, at: number, end: number): boolean {
      const bytes = Buffer.from(buf.subarray(at, end))
      const frame = new RpcFrame()
      const fault = codec.read(bytes, 0, bytes.length, frame)
      if (fault < 0) throw new Error(`fault ${fault} in ${bytes.toString('hex')}`)
      onFrame(bytes, frame)
      return true
    },
    onFault(fault: number): void {
      throw new Error(`fault ${fault}`)
    },
  }
  const splitter = new FrameSplitter(codec, receiver, new HeldBudget(maxBytes * 4), maxBytes, () => 'test')
  socket.on('data', (chunk: Buffer) => splitter.feed(chunk, chunk.length))
}

/** What an application answers that works so long on a request. */
export async function afterWork(ms: number, reply: Buffer): Promise<Buffer> {
  await new Promise((resolve) => setTimeout(resolve, ms))
  return reply
}

export interface Served {
  readonly bytes: Buffer
  readonly frame: RpcFrame
  readonly socket: net.Socket
  readonly connection: number
}

export interface RpcApplication {
  readonly port: number
  readonly requests: Served[]
  readonly heartbeats: number
  /** Connections so far. */
  readonly connections: number
  readonly sockets: ReadonlySet<net.Socket>
  close(): Promise<void>
}

/** `answer`: the reply, under whatever id; undefined = none now. */
export async function startApplication(
  codec: RpcCodec,
  answer: (served: Served) => Buffer | undefined | Promise<Buffer>,
  port = 0,
  address = '127.0.0.1',
): Promise<RpcApplication> {
  const requests: Served[] = []
  const sockets = new Set<net.Socket>()
  let heartbeats = 0
  let connections = 0
  const server = net.createServer((socket) => {
    const connection = ++connections
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    eachFrame(codec, socket, (bytes, frame) => {
      if (frame.kind === FrameKind.heartbeat) {
        heartbeats++
        socket.write(codec.heartbeatReply(bytes, 0, bytes.length, frame))
        return
      }
      if (frame.kind !== FrameKind.request && frame.kind !== FrameKind.oneWay) return
      const served = { bytes, frame, socket, connection }
      requests.push(served)
      const say = (reply: Buffer | undefined): void => {
        if (reply === undefined || frame.kind === FrameKind.oneWay) return
        const read = new RpcFrame()
        codec.read(reply, 0, reply.length, read)
        socket.write(withId(codec, reply, read, frame.idHigh, frame.idLow))
      }
      const reply = answer(served)
      if (reply instanceof Promise) void reply.then(say)
      else say(reply)
    })
  })
  server.listen(port, address)
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    requests,
    sockets,
    get heartbeats() {
      return heartbeats
    },
    get connections() {
      return connections
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

export interface Replied {
  readonly bytes: Buffer
  readonly frame: RpcFrame
}

/** One connection of a caller. */
export class RpcCaller {
  readonly socket: net.Socket
  isClosed = false
  /** Everything that came and was no reply to a call: heartbeat replies, goaway. */
  readonly others: Replied[] = []
  private readonly codec: RpcCodec
  private readonly waiting = new Map<number, (reply: Replied | 'closed') => void>()
  private nextId = 1

  private constructor(codec: RpcCodec, socket: net.Socket) {
    this.codec = codec
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
      for (const tell of this.waiting.values()) tell('closed')
      this.waiting.clear()
    })
    eachFrame(codec, socket, (bytes, frame) => {
      const tell = frame.kind === FrameKind.reply ? this.waiting.get(frame.idLow) : undefined
      this.waiting.delete(frame.idLow)
      if (tell === undefined) this.others.push({ bytes, frame })
      else tell({ bytes, frame })
    })
  }

  /** `at`: a port, or the path of a unix socket. */
  static async connect(codec: RpcCodec, at: number | string, address = '127.0.0.1'): Promise<RpcCaller> {
    const socket = typeof at === 'string' ? net.connect(at) : net.connect(at, address)
    await once(socket, 'connect')
    return new RpcCaller(codec, socket)
  }

  /** Sends the request under an id of its own; `closed` = the connection ended first. */
  send(request: Buffer): Promise<Replied | 'closed'> {
    const bytes = Buffer.from(request)
    const frame = new RpcFrame()
    this.codec.read(bytes, 0, bytes.length, frame)
    const id = this.nextId++
    const sent = withId(this.codec, bytes, frame, 0, id)
    return new Promise((resolve) => {
      if (this.isClosed) {
        resolve('closed')
        return
      }
      if (frame.kind === FrameKind.oneWay) resolve({ bytes, frame })
      else this.waiting.set(id, resolve)
      this.socket.write(sent)
    })
  }

  async call(request: Buffer): Promise<Replied> {
    const reply = await this.send(request)
    if (reply === 'closed') throw new Error('the connection ended before the reply')
    return reply
  }

  close(): void {
    this.socket.destroy()
  }
}
