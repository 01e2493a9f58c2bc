/**
 * Bytes of gRPC messages that have come and are not whole yet. grpc-js collects them and tells only of whole messages,
 * so they are told from what the socket has read and what was delivered, with an allowance for frames of HTTP/2 that
 * carry no message. Looked at from time to time: between two looks more may come.
 */
export interface CountedSocket {
  readonly bytesRead: number
  destroy(): unknown
}

export interface UnreadBytesOptions {
  readonly most: number
  readonly mostPerCaller: number
  /** Monotonic ms. */
  readonly now: () => number
  readonly onBound: (bound: 'most' | 'mostPerCaller') => void
}

interface Count {
  readonly caller: string
  readonly openedAt: number
  delivered: number
}

/**
 * Headers and frames of one request, and of a connection: at its beginning, and for each second (pings, window
 * updates).
 */
const overhead = { perMessage: 1024, perConnection: 65_536, perSecond: 1024 } as const

export class UnreadBytes<S extends CountedSocket> {
  private readonly options: UnreadBytesOptions
  private readonly counts = new Map<S, Count>()

  constructor(options: UnreadBytesOptions) {
    this.options = options
  }

  enter(socket: S, caller: string): void {
    this.counts.set(socket, { caller, openedAt: this.options.now(), delivered: 0 })
  }

  leave(socket: S): void {
    this.counts.delete(socket)
  }

  /** A whole message has come. What was sent compressed earns no credit for what follows. */
  delivered(socket: S, bytes: number): void {
    const count = this.counts.get(socket)
    if (count === undefined) return
    count.delivered = Math.min(socket.bytesRead, count.delivered + bytes + overhead.perMessage)
  }

  /** Ends the connections that hold the most until both bounds are kept. */
  look(): void {
    const held: { readonly socket: S; readonly caller: string; readonly bytes: number }[] = []
    const byCaller = new Map<string, number>()
    let total = 0
    for (const [socket, count] of this.counts) {
      const bytes = this.unread(socket, count)
      if (bytes === 0) continue
      held.push({ socket, caller: count.caller, bytes })
      byCaller.set(count.caller, (byCaller.get(count.caller) ?? 0) + bytes)
      total += bytes
    }
    held.sort((a, b) => b.bytes - a.bytes)
    for (const { bytes, caller, socket } of held) {
      const ofCaller = byCaller.get(caller)!
      const isCallerFull = ofCaller > this.options.mostPerCaller
      if (!isCallerFull && total <= this.options.most) continue
      byCaller.set(caller, ofCaller - bytes)
      total -= bytes
      this.options.onBound(isCallerFull ? 'mostPerCaller' : 'most')
      this.leave(socket)
      socket.destroy()
    }
  }

  private unread(socket: S, { delivered, openedAt }: Count): number {
    const allowed = overhead.perConnection + ((this.options.now() - openedAt) / 1000) * overhead.perSecond
    return Math.max(0, Math.floor(socket.bytesRead - delivered - allowed))
  }
}
