/** Long-lived byte streams to an echo, each with its own pattern, so that a lost, repeated or swapped byte is seen. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'

export class EchoStream {
  closed: string | undefined
  sentBytes = 0
  gotBytes = 0
  private readonly socket: net.Socket
  private readonly sent = createHash('sha256')
  private readonly got = createHash('sha256')
  private readonly name: string
  private timer: NodeJS.Timeout | undefined

  private constructor(socket: net.Socket, name: string) {
    this.socket = socket
    this.name = name
    socket.on('error', (error) => (this.closed ??= error.message))
    socket.on('close', () => (this.closed ??= 'closed'))
  }

  static async open(port: number, name: string, kind: 'tcp' | 'websocket', host = '127.0.0.1'): Promise<EchoStream> {
    const socket = net.connect({ port, host, noDelay: true })
    await once(socket, 'connect')
    const stream = new EchoStream(socket, name)
    if (kind === 'websocket') {
      const fields =
        'connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=='
      socket.write(`GET /ws HTTP/1.1\r\nhost: orders\r\n${fields}\r\n\r\n`)
      let head = ''
      while (!head.includes('\r\n\r\n')) head += ((await once(socket, 'data')) as [Buffer])[0].toString('latin1')
      if (!head.startsWith('HTTP/1.1 101')) throw new Error(head)
    }
    socket.on('data', (bytes: Buffer) => {
      stream.gotBytes += bytes.length
      stream.got.update(bytes)
    })
    return stream
  }

  /** Sends a block every `everyMs`, without waiting for its echo. */
  start(everyMs: number, blockBytes: number): void {
    let round = 0
    this.timer = setInterval(() => {
      const block = Buffer.from(`${this.name}:${round++};`.repeat(Math.ceil(blockBytes / 8))).subarray(0, blockBytes)
      this.sent.update(block)
      this.sentBytes += block.length
      this.socket.write(block)
    }, everyMs)
  }

  /**
   * Stops sending, waits for the last echo, and answers what went wrong; undefined = every byte came back once and in
   * order.
   */
  async finish(timeoutMs = 20_000): Promise<string | undefined> {
    clearInterval(this.timer)
    const deadline = performance.now() + timeoutMs
    while (this.gotBytes < this.sentBytes && this.closed === undefined && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const { closed } = this
    this.socket.destroy()
    if (closed !== undefined) return `${this.name}: ${closed}`
    if (this.gotBytes !== this.sentBytes) return `${this.name}: sent ${this.sentBytes} bytes, got ${this.gotBytes}`
    return this.sent.digest('hex') === this.got.digest('hex') ? undefined : `${this.name}: other bytes came back`
  }
}
