/**
 * One request in hand per connection. node:http hands over all heads that a client pipelines at once: without this, one
 * connection asks for as much as fits into what it sends, and need not read any of it.
 *
 * Clients that wait for an answer notice nothing: theirs comes while none is in hand, or while the bytes of the answer
 * before are already with the kernel and only the word of it is missing (TLS tells it a turn later). That one waits for
 * the word. Any other ends the connection.
 */
import type { Socket } from 'node:net'
import type { ConnectionBudget } from './connection-budget.ts'

/** Of node:http: the answer to a request. `close` comes once, when it is flushed or can no longer be. */
export interface Reply {
  readonly writableEnded: boolean
  once(event: 'close', listener: () => void): unknown
}

export interface RequestTurnsOptions {
  /** Of the server: a connection is busy while it has a request in hand, and rests when that is answered. */
  readonly budget?: Pick<ConnectionBudget<Socket>, 'busy' | 'rest'>
  /** A connection ends because it pipelined; once for each. */
  readonly onPipelined: () => void
}

interface Turn {
  readonly reply: Reply
  next: (() => void) | undefined
}

export class RequestTurns {
  private readonly options: RequestTurnsOptions
  private readonly inHand = new WeakMap<Socket, Turn>()

  constructor(options: RequestTurnsOptions) {
    this.options = options
  }

  /** Calls `answer` now, when the reply before it is flushed, or never: the connection ends then. */
  take(socket: Socket, reply: Reply, answer: () => void): void {
    const turn = this.inHand.get(socket)
    if (turn === undefined) this.begin(socket, reply, answer)
    else if (turn.reply.writableEnded && turn.next === undefined) turn.next = () => this.begin(socket, reply, answer)
    else if (!socket.destroyed) {
      this.options.onPipelined()
      socket.destroy()
    }
  }

  private begin(socket: Socket, reply: Reply, answer: () => void): void {
    const turn: Turn = { reply, next: undefined }
    this.inHand.set(socket, turn)
    this.options.budget?.busy(socket)
    reply.once('close', () => {
      this.inHand.delete(socket)
      // not writable: the reply was the last one of its connection
      if (turn.next !== undefined && socket.writable) turn.next()
      else this.options.budget?.rest(socket)
    })
    answer()
  }
}
