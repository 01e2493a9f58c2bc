/**
 * A server of raw bytes: keeps everything that each connection brought, and answers whole requests as the strict parser
 * sees them.
 */
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

import { parseProxyHeader } from '../../../contracts/proxy-protocol.ts'
import { parseRequests } from './strict-parser.ts'
import type { StrictMessage } from './strict-parser.ts'

export interface BackendConnection {
  readonly id: number
  readonly socket: Socket
  /** Everything received. */
  bytes: Buffer
  /** Replies given. */
  answered: number
  /** The backend answered 101: what follows is a tunnel. */
  hasSwitched: boolean
  /** The mesh sent FIN or a reset. */
  isEnded: boolean
}

/** Answers one request. What it returns is written; undefined = nothing, the answer writes for itself. */
export type Answerer = (message: StrictMessage, connection: BackendConnection) => string | Buffer | undefined

const plainAnswer: Answerer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

export class RecordingBackend {
  readonly connections: BackendConnection[] = []
  /** For whole requests, in order. */
  answer: Answerer = plainAnswer
  /** Sees every piece before it is judged; true = it has dealt with the connection itself. */
  onPiece: ((connection: BackendConnection) => boolean) | undefined
  private readonly server: Server
  private readonly isCenter: boolean

  /**
   * isCenter: connections begin with a PROXY header, which is taken off; those that only ask for a sign of life are
   * answered and not recorded.
   */
  static async start(isCenter = false): Promise<RecordingBackend> {
    const backend = new RecordingBackend(isCenter)
    await new Promise<void>((resolve) => backend.server.listen(0, '127.0.0.1', resolve))
    return backend
  }

  private constructor(isCenter: boolean) {
    this.isCenter = isCenter
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.accept(socket))
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  private accept(socket: Socket): void {
    const connection: BackendConnection = {
      id: this.connections.length,
      socket,
      bytes: Buffer.alloc(0),
      answered: 0,
      hasSwitched: false,
      isEnded: false,
    }
    if (!this.isCenter) this.connections.push(connection)
    let introduction: Buffer | null = this.isCenter ? Buffer.alloc(0) : null
    socket.on('error', () => {})
    socket.on('close', () => (connection.isEnded = true))
    socket.on('end', () => {
      connection.isEnded = true
      socket.end()
    })
    socket.on('data', (piece: Buffer) => {
      let chunk = piece
      if (introduction !== null) {
        introduction = Buffer.concat([introduction, chunk])
        const parsed = parseProxyHeader(introduction)
        if (parsed.kind === 'more') return
        if (parsed.kind === 'bad' || parsed.header.command === 'local') {
          socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
          return
        }
        chunk = introduction.subarray(parsed.length)
        introduction = null
        this.connections.push(connection)
      }
      connection.bytes = Buffer.concat([connection.bytes, chunk])
      if (this.onPiece?.(connection) === true) return
      const { messages } = parseRequests(connection.bytes, connection.hasSwitched)
      while (connection.answered < messages.length) {
        const reply = this.answer(messages[connection.answered++] as StrictMessage, connection)
        if (reply !== undefined && !socket.destroyed) socket.write(reply)
      }
    })
  }

  /** All whole requests so far, by connection. */
  get requests(): readonly StrictMessage[] {
    return this.connections.flatMap((connection) => parseRequests(connection.bytes, connection.hasSwitched).messages)
  }

  /** Ends the recorded connections, so that the next case begins with none. */
  reset(): void {
    for (const connection of this.connections.splice(0)) connection.socket.destroy()
    this.answer = plainAnswer
    this.onPiece = undefined
  }

  async close(): Promise<void> {
    this.reset()
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
  }
}

/**
 * The dirty forward: what a connection brought must be a stream that the strict parser takes whole, or one that was cut
 * short and then closed. Answers what is wrong, or undefined.
 */
export function dirtyForward(connection: BackendConnection): string | undefined {
  const stream = parseRequests(connection.bytes, connection.hasSwitched)
  if (stream.problem !== undefined) return stream.problem
  if (stream.isCut && !connection.isEnded) return 'the stream stops inside a message and the connection stays open'
  return undefined
}
