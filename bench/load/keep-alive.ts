/** A keep-alive HTTP/1.1 caller for checks of one request at a time; not a load generator. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

export class Caller {
  private readonly socket: Socket
  private text = ''
  private waiting: { resolve: (body: string) => void; reject: (error: Error) => void } | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.take(chunk.toString('latin1')))
    socket.on('error', (error) => this.fail(error))
    socket.on('close', () => this.fail(new Error('the connection was closed')))
  }

  static async dial(port: number, address = '127.0.0.1'): Promise<Caller> {
    const socket = connect(port, address)
    await once(socket, 'connect')
    return new Caller(socket)
  }

  /** The body of the answer; answers must have a Content-Length. */
  get(headers: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject }
      this.socket.write(`GET / HTTP/1.1\r\n${headers}\r\n\r\n`)
    })
  }

  close(): void {
    this.socket.destroy()
  }

  private take(text: string): void {
    this.text += text
    const end = this.text.indexOf('\r\n\r\n')
    if (end < 0) return
    const length = Number(/content-length: (\d+)/i.exec(this.text)?.[1] ?? 0)
    if (this.text.length < end + 4 + length) return
    const body = this.text.slice(end + 4, end + 4 + length)
    this.text = this.text.slice(end + 4 + length)
    this.waiting?.resolve(body)
    this.waiting = null
  }

  private fail(error: Error): void {
    this.waiting?.reject(error)
    this.waiting = null
  }
}
