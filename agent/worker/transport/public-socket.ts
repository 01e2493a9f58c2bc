/**
 * Transports on Node's public API, for a Node whose handles `raw-handle.ts` does not know. Slower (the stream layer),
 * the same behaviour, but for two things: descriptors are not told (connections cannot move to another process), and a
 * listening socket of another process can still be taken over.
 */
import { once } from 'node:events'
import { createServer, Socket } from 'node:net'
import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import { EndingSocket } from '../../../native/ending-socket.ts'
import type { Server } from 'node:net'

import type { Output } from './output.ts'
import { Fate, nobody, noIdentity, refuseState } from './transport.ts'
import type {
  DetachedTransport,
  DialCallback,
  Transport,
  TransportListener,
  TransportOwner,
  TransportPeer,
  Transports,
} from './transport.ts'

class PublicTransport extends EndingSocket implements Transport {
  owner: TransportOwner = nobody
  readonly descriptor = -1
  readonly spliceDescriptor = -1
  readonly isMovable = false
  private readonly known: TransportPeer
  private isSlow = false
  private isPaused = true
  /** A FIN that came while reading was paused: Node tells it at once when no bytes wait before it. */
  private hasHeldEnd = false
  private readonly flushed = (): void => {
    if (!this.isSlow || this.isClosed || this.socket.writableLength > 0) return
    this.isSlow = false
    this.owner.onDrained()
  }

  constructor(socket: Socket) {
    super(socket)
    this.known = {
      address: socket.remoteAddress ?? '',
      port: socket.remotePort ?? 0,
      localAddress: socket.localAddress ?? '',
      localPort: socket.localPort ?? 0,
      identity: noIdentity,
    }
    socket.on('data', (bytes: Buffer) => {
      if (!this.isClosed) this.owner.onBytes(bytes, bytes.length)
    })
    socket.on('end', () => {
      if (this.isPaused) this.hasHeldEnd = true
      else if (!this.isClosed) this.owner.onEnd()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.breakNow(error.code ?? 'ERROR')
    })
    socket.on('close', () => {
      this.breakNow('ECONNRESET')
    })
    socket.pause()
  }

  resumeReading(): void {
    if (this.isClosed) return
    this.isPaused = false
    if (this.hasHeldEnd) setImmediate(() => this.tellHeldEnd())
    else this.socket.resume()
  }

  pauseReading(): void {
    if (this.isClosed) return
    this.isPaused = true
    this.socket.pause()
  }

  private tellHeldEnd(): void {
    if (this.isPaused || this.isClosed || !this.hasHeldEnd) return
    this.hasHeldEnd = false
    this.owner.onEnd()
  }

  write(output: Output): boolean {
    const bytes = Buffer.from(output.view())
    output.clear()
    if (this.isClosed) return false
    if (bytes.length === 0) return this.socket.writableLength === 0
    this.socket.write(bytes, this.flushed)
    if (this.socket.writableLength === 0) return true
    this.isSlow = true
    return false
  }

  awaitReadable(): void {}

  writeFrom(memory: Buffer, length: number): boolean {
    if (this.isClosed) return false
    this.socket.write(Buffer.from(memory.subarray(0, length)), this.flushed)
    if (this.socket.writableLength === 0) return true
    this.isSlow = true
    return false
  }

  get hasPeerEnded(): boolean {
    return this.hasHeldEnd
  }

  fateOf(): Fate {
    return Fate.mayBeRead
  }

  release(): void {
    this.close()
  }

  detach(): DetachedTransport {
    throw new Error('a public socket cannot leave its process')
  }

  setKeepAlive(delayMs: number): void {
    if (!this.isClosed) this.socket.setKeepAlive(true, delayMs)
  }

  get identity(): PeerIdentity {
    return noIdentity
  }

  peer(): TransportPeer {
    return this.known
  }

  private breakNow(reason: string): void {
    if (this.isClosed) return
    this.isClosed = true
    this.socket.destroy()
    this.owner.onClosed(reason)
  }
}

class PublicListener implements TransportListener {
  readonly descriptor = -1
  readonly address: string
  readonly port: number
  private readonly server: Server

  constructor(server: Server) {
    this.server = server
    const name = server.address()
    this.address = typeof name === 'object' && name !== null ? name.address : ''
    this.port = typeof name === 'object' && name !== null ? name.port : 0
  }

  close(): void {
    this.server.close()
  }
}

async function listening(server: Server, options: ServerListenOptions, onAccept: (transport: Transport) => void) {
  server.on('connection', (socket: Socket) => onAccept(new PublicTransport(socket)))
  const failed = new Promise<never>((_resolve, reject) => server.once('error', reject))
  // beside a descriptor Node reads no other option
  if (options.fd === undefined) server.listen(options)
  else server.listen({ fd: options.fd }, options.backlog)
  await Promise.race([once(server, 'listening'), failed])
  server.on('error', () => {})
  return new PublicListener(server)
}

interface ServerListenOptions {
  host?: string
  port?: number
  backlog?: number
  reusePort?: boolean
  fd?: number
}

const serverOptions = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true }

export function publicTransports(): Transports {
  return {
    kind: 'public',
    listen(options, onAccept) {
      const { address, port, backlog, reusePort } = options
      return listening(createServer(serverOptions), { host: address, port, backlog, reusePort }, onAccept)
    },
    listenOn(descriptor, backlog, onAccept) {
      return listening(createServer(serverOptions), { fd: descriptor, backlog }, onAccept)
    },
    dial(address, port, callback: DialCallback) {
      const socket = new Socket({ allowHalfOpen: true })
      socket.setNoDelay(true)
      const onError = (error: NodeJS.ErrnoException): void => {
        socket.destroy()
        callback(null, error.code ?? 'ERROR')
      }
      socket.once('error', onError)
      socket.connect({ host: address, port }, () => {
        socket.off('error', onError)
        callback(new PublicTransport(socket), '')
      })
      return {
        cancel() {
          socket.off('error', onError)
          socket.on('error', () => {})
          if (socket.connecting) socket.destroy()
        },
      }
    },
    open(descriptor, state) {
      refuseState(state)
      const socket = new Socket({ fd: descriptor, readable: true, writable: true, allowHalfOpen: true })
      socket.setNoDelay(true)
      return new PublicTransport(socket)
    },
  }
}
