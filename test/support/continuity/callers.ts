/** Callers that do not forgive: they never retry, and they remember every connection that failed them. */
import net from 'node:net'

export interface Answer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** A keep-alive HTTP/1.1 connection. Rejects everything once it is closed. */
export class KeepAliveCaller {
  closed: string | undefined
  readonly socket: net.Socket
  private buffered = ''
  private waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.buffered += bytes.toString('latin1')
      this.read()
    })
    socket.on('error', (error) => this.end(error.message))
    socket.on('close', () => this.end('closed'))
  }

  /** `at`: a port, or the path of a unix socket. */
  static connect(at: number | string, host = '127.0.0.1'): Promise<KeepAliveCaller> {
    return new Promise((resolve, reject) => {
      const socket = typeof at === 'string' ? net.connect(at) : net.connect({ port: at, host, noDelay: true })
      socket.once('connect', () => {
        socket.removeListener('error', reject)
        resolve(new KeepAliveCaller(socket))
      })
      socket.once('error', reject)
    })
  }

  get(path = '/', fields = ''): Promise<Answer> {
    return this.send(`GET ${path} HTTP/1.1\r\nhost: test\r\n${fields}\r\n`)
  }

  send(text: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.closed !== undefined) {
        reject(new Error(this.closed))
        return
      }
      this.waiting = { resolve, reject }
      this.socket.write(text, 'latin1')
      // an answer to an earlier request of the same connection may be here already
      this.read()
    })
  }

  close(): void {
    this.socket.destroy()
  }

  private read(): void {
    if (this.waiting === undefined) return
    const end = this.buffered.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.buffered.slice(0, end)
    const length = Number(/^content-length: *([0-9]+)/im.exec(head)?.[1] ?? 0)
    if (this.buffered.length < end + 4 + length) return
    const body = this.buffered.slice(end + 4, end + 4 + length)
    this.buffered = this.buffered.slice(end + 4 + length)
    const { waiting } = this
    this.waiting = undefined
    waiting.resolve({ status: Number(head.slice(9, 12)), head, body })
  }

  private end(reason: string): void {
    this.closed ??= reason
    this.waiting?.reject(new Error(this.closed))
    this.waiting = undefined
  }
}

export interface LoadResult {
  answered: number
  failures: string[]
  /** ms, one per answered request. */
  readonly latencies: number[]
}

/**
 * `count` keep-alive callers, each sending its next request as soon as it has its answer, until `stop`. A failed
 * request is never repeated. With `reconnects` a caller goes on with its next request on a new connection; `closed`
 * counts the connections that ended on it.
 */
export async function keepAliveLoad(
  port: number | string,
  count: number,
  path = '/',
  options: { readonly reconnects?: boolean; readonly host?: string } = {},
): Promise<{
  result: LoadResult & { closed: number }
  /** Every caller had its first answer: its connection is in a worker, no longer in a queue of the kernel. */
  served: Promise<void>
  stop: () => Promise<LoadResult & { closed: number }>
}> {
  const callers = await Promise.all(Array.from({ length: count }, () => KeepAliveCaller.connect(port, options.host)))
  const result: LoadResult & { closed: number } = { answered: 0, failures: [], latencies: [], closed: 0 }
  let isStopping = false
  const served = Promise.withResolvers<void>()
  let unserved = count
  const run = async (first: KeepAliveCaller): Promise<void> => {
    let caller = first
    let isServed = false
    while (!isStopping) {
      const began = performance.now()
      try {
        if (caller.closed !== undefined) {
          result.closed++
          caller = await KeepAliveCaller.connect(port, options.host)
        }
        const answer = await caller.get(path)
        if (answer.status === 200) result.answered++
        else result.failures.push(`status ${answer.status}: ${answer.body}`)
        result.latencies.push(performance.now() - began)
        if (!isServed && --unserved === 0) served.resolve()
        isServed = true
      } catch (error) {
        result.failures.push((error as Error).message)
        if (options.reconnects !== true) return
      }
    }
    if (caller.closed !== undefined && options.reconnects !== true) result.failures.push(`connection ${caller.closed}`)
    caller.close()
  }
  const loops = callers.map((caller) => run(caller))
  const stop = async (): Promise<LoadResult & { closed: number }> => {
    isStopping = true
    await Promise.all(loops)
    return result
  }
  return { result, served: served.promise, stop }
}

/**
 * New connections one after the other, `parallel` at a time, each with one request, until `stop`. Refused ones are
 * failures.
 */
export function newConnectionLoad(
  port: number | string,
  parallel: number,
  path = '/',
  fields = '',
): { result: LoadResult; stop: () => Promise<LoadResult> } {
  const result: LoadResult = { answered: 0, failures: [], latencies: [] }
  let isStopping = false
  const loops = Array.from({ length: parallel }, async () => {
    while (!isStopping) {
      const began = performance.now()
      try {
        const caller = await KeepAliveCaller.connect(port)
        try {
          const answer = await caller.get(path, fields)
          if (answer.status === 200) result.answered++
          else result.failures.push(`status ${answer.status}: ${answer.body}`)
          result.latencies.push(performance.now() - began)
        } finally {
          caller.close()
        }
      } catch (error) {
        result.failures.push((error as NodeJS.ErrnoException).code ?? (error as Error).message)
      }
    }
  })
  const stop = async (): Promise<LoadResult> => {
    isStopping = true
    await Promise.all(loops)
    return result
  }
  return { result, stop }
}
