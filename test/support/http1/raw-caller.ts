/** A caller of raw bytes: sends what it is told and keeps everything that comes back. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'

export class RawCaller {
  readonly socket: Socket
  private chunks: Buffer[] = []
  /** The other side sent FIN. */
  isEnded = false
  /** The connection is gone; `wasReset` tells how. */
  isClosed = false
  wasReset = false
  private readonly waiters = new Set<() => void>()

  /** from: the caller's own address. */
  static async open(port: number, address = '127.0.0.1', from?: string): Promise<RawCaller> {
    const local = from === undefined ? {} : { localAddress: from }
    const socket = connect({ port, host: address, ...local, allowHalfOpen: true, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawCaller(socket)
  }

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') this.wasReset = true
      this.wake()
    })
    socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk)
      this.wake()
    })
    socket.on('end', () => {
      this.isEnded = true
      this.wake()
    })
    socket.on('close', () => {
      this.isClosed = true
      this.wake()
    })
  }

  private wake(): void {
    for (const waiter of this.waiters) waiter()
  }

  /** Everything that came; put together when it is asked for. */
  get bytes(): Buffer {
    if (this.chunks.length !== 1) this.chunks = [Buffer.concat(this.chunks)]
    return this.chunks[0]!
  }

  set bytes(bytes: Buffer) {
    this.chunks = [bytes]
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }

  /** Whether nothing more can come. */
  get isOver(): boolean {
    return this.isEnded || this.isClosed
  }

  send(data: string | Buffer): void {
    if (!this.socket.destroyed) this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data)
  }

  /** Resolves when `condition` holds or, false, when the time is over. */
  async until(condition: () => boolean, timeoutMs = 20_000): Promise<boolean> {
    if (condition()) return true
    let timer: NodeJS.Timeout | undefined
    let waiter: (() => void) | undefined
    try {
      return await new Promise<boolean>((resolve) => {
        waiter = () => {
          if (condition()) resolve(true)
        }
        this.waiters.add(waiter)
        timer = setTimeout(() => resolve(condition()), timeoutMs)
      })
    } finally {
      clearTimeout(timer)
      if (waiter !== undefined) this.waiters.delete(waiter)
    }
  }

  /** Waits until the text holds `wanted`; throws with what came instead. */
  async expect(wanted: string | RegExp, timeoutMs = 20_000): Promise<void> {
    const found = () => (typeof wanted === 'string' ? this.text.includes(wanted) : wanted.test(this.text))
    if (!(await this.until(() => found() || this.isOver, timeoutMs)) || !found())
      throw new Error(
        `no ${String(wanted)} in ${JSON.stringify(this.text.slice(0, 2000))}${this.isOver ? ' (closed)' : ''}`,
      )
  }

  /** Waits until the other side closed; throws when it did not in time. */
  async closed(timeoutMs = 20_000): Promise<void> {
    if (!(await this.until(() => this.isOver, timeoutMs)))
      throw new Error(`the connection stays open after ${JSON.stringify(this.text.slice(0, 500))}`)
  }

  close(): void {
    this.socket.destroy()
  }
}

/** Sends everything on a connection of its own and answers what came back until the other side closed. */
export async function exchange(port: number, data: string | Buffer, timeoutMs = 20_000): Promise<string> {
  const caller = await RawCaller.open(port)
  caller.send(data)
  await caller.closed(timeoutMs)
  caller.close()
  return caller.text
}
