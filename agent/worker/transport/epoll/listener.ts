import { constants } from 'node:os'

import type { Transport, TransportListener } from '../transport.ts'
import { Edge } from './loop.ts'
import type { Watched } from './loop.ts'
import { EpollTransport } from './socket.ts'
import type { EpollShared } from './socket.ts'

const { EAGAIN } = constants.errno
/** Connections of one turn; the rest of the queue waits for the next one. */
const acceptsPerTurn = 64
/** Without descriptors or memory the queue is left alone for this long: it would only say the same again and again. */
const restMs = 50

/** A listening socket. Unlike connections it is watched for its level: what is left in its queue is told again. */
export class EpollListener implements TransportListener, Watched {
  readonly port: number
  readonly address: string
  isQueued = false
  private readonly shared: EpollShared
  private readonly onAccept: (transport: Transport) => void
  /** It has a path in place of an address. */
  private readonly isLocal: boolean
  private socket: number
  private rest: NodeJS.Timeout | undefined

  constructor(shared: EpollShared, socket: number, onAccept: (transport: Transport) => void) {
    this.shared = shared
    this.socket = socket
    this.onAccept = onAccept
    const name = shared.sockets.localName(socket)
    this.address = name?.address ?? ''
    this.port = name?.port ?? 0
    this.isLocal = name === undefined
  }

  get descriptor(): number {
    return this.socket
  }

  onTurn(): void {}

  onEvents(): void {
    const { calls } = this.shared.loop
    for (let left = acceptsPerTurn; left > 0 && this.socket >= 0; left--) {
      const socket = calls.accept(this.socket)
      if (socket >= 0) this.take(socket)
      else {
        if (socket !== -EAGAIN) this.pause()
        return
      }
    }
  }

  private take(socket: number): void {
    const { loop } = this.shared
    const transport = new EpollTransport(this.shared, socket, this.isLocal)
    if (loop.add(socket, transport, transport.edges) === 0) this.onAccept(transport)
    else loop.calls.close(socket)
  }

  /** What failed may have been one connection only (ECONNABORTED), or the lack of something. */
  private pause(): void {
    const { loop } = this.shared
    loop.change(this.socket, 0)
    this.rest = setTimeout(() => {
      if (this.socket >= 0) loop.change(this.socket, Edge.in)
    }, restMs)
  }

  close(): void {
    if (this.socket < 0) return
    const { loop } = this.shared
    clearTimeout(this.rest)
    loop.remove(this.socket)
    loop.calls.close(this.socket)
    this.socket = -1
  }
}
