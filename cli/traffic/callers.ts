/** Steady callers that dial a localhost port and know nothing of the mesh. They do not retry: what fails is counted. */
import { Agent, request } from 'node:http'
import { type Socket, connect } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { headers } from '../../contracts/words.ts'
import { type Pace, PacedCalls, callTimeoutMs, mostAtRate } from './paced-calls.ts'
import { Tally } from './tally.ts'

export interface Caller {
  readonly from: string
  readonly to: string
  /** How it dials, for people: `port 20001` or `shared port, Host: orders`. */
  readonly how: string
  readonly tally: Tally
  /** Most calls that were in flight at the same time since the last call of this function. */
  takePeak(): number
  stop(): void
}

export interface CallerOptions extends Pace {
  readonly from: string
  readonly to: string
  readonly address: string
  readonly port: number
  /** Of an HTTP call; default `/demo`. */
  readonly path?: string
  /** Bytes before the first request of each HTTP connection, made anew for each: a PROXY header. */
  readonly greeting?: () => Buffer
  /** Of each HTTP connection with a greeting, in TLS; absent = in plain. */
  readonly tls?: () => ConnectionOptions
}

/** @param hostHeader the service's name on the shared port; undefined on a port of its own. */
export function startHttpCaller(options: CallerOptions, hostHeader: string | undefined): Caller {
  const { address: host, port, greeting, maxInFlight = mostAtRate(options.rate), path = '/demo', tls } = options
  const agent = new Agent({ keepAlive: true, maxSockets: maxInFlight })
  if (greeting !== undefined) {
    agent.createConnection = () => {
      const to = { host, port, noDelay: true }
      const socket = tls === undefined ? connect(to) : connectTls({ ...to, ...tls() })
      socket.write(greeting())
      return socket
    }
  }
  const target = { agent, host, port, path, timeout: callTimeoutMs, headers: { host: hostHeader ?? options.to } }
  const calls = new PacedCalls(options, (settle) => {
    const outgoing = request(target, (incoming) => {
      incoming.resume()
      incoming.on('end', () => {
        const status = incoming.statusCode ?? 0
        const error = String(incoming.headers[headers.error] ?? '')
        settle({
          isGood: status === 200,
          tier: String(incoming.headers[headers.tier] ?? 'none'),
          version: String(incoming.headers['x-demo-version'] ?? ''),
          reason: status === 200 ? '' : `${status} ${error}`.trim(),
        })
      })
      incoming.on('error', (error) => settle({ isGood: false, reason: reasonOf(error) }))
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')))
    outgoing.on('error', (error) => settle({ isGood: false, reason: reasonOf(error) }))
    outgoing.end()
  })
  return {
    from: options.from,
    to: options.to,
    how: hostHeader === undefined ? `port ${options.port}` : `shared port ${options.port}`,
    tally: calls.tally,
    takePeak: () => calls.takePeak(),
    stop: () => {
      calls.stop()
      agent.destroy()
    },
  }
}

/** One long TCP connection with a question per tick; a broken connection is a failure and is dialled again. */
export function startLineCaller(options: CallerOptions): Caller {
  const { maxInFlight = mostAtRate(options.rate) } = options
  const tally = new Tally(options.now)
  let socket: Socket | undefined
  let asked: number[] = []
  let peak = 0
  let isStopped = false
  const fail = (reason: string): void => {
    const lost = Math.max(1, asked.length)
    asked = []
    socket?.destroy()
    socket = undefined
    for (let i = 0; i < lost && !isStopped; i++) {
      tally.add({ isGood: false, tier: '', version: '', latencyMs: 0, reason })
    }
  }
  const dial = (): Socket => {
    const dialled = connect(options.port, options.address)
    let rest = ''
    dialled.setEncoding('latin1')
    dialled.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const startedAt = asked.shift() ?? options.now()
        const version = line.split(' ')[0] ?? ''
        tally.add({ isGood: true, tier: '', version, latencyMs: options.now() - startedAt, reason: '' })
      }
    })
    dialled.on('error', (error) => {
      if (socket === dialled) fail(reasonOf(error))
    })
    dialled.on('close', () => {
      if (socket === dialled) fail('connection closed')
    })
    return dialled
  }
  const timer = setInterval(() => {
    if (asked.length >= maxInFlight) {
      fail('no answer in time')
      return
    }
    socket ??= dial()
    asked.push(options.now())
    peak = Math.max(peak, asked.length)
    socket.write('ping\n')
  }, 1000 / options.rate)
  return {
    from: options.from,
    to: options.to,
    how: `port ${options.port}, one TCP connection`,
    tally,
    takePeak: () => {
      const taken = peak
      peak = asked.length
      return taken
    },
    stop: () => {
      isStopped = true
      clearInterval(timer)
      socket?.destroy()
    },
  }
}

function reasonOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message
}
