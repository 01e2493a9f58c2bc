/** Steady callers that dial a localhost port and know nothing of the mesh. They do not retry: what fails is counted. */
import { Agent, request } from 'node:http'
import { type Socket, connect } from 'node:net'
import { headers } from '../../contracts/words.ts'
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

export interface CallerOptions {
  readonly from: string
  readonly to: string
  readonly address: string
  readonly port: number
  /** Calls per second. */
  readonly rate: number
  readonly now: () => number
  /** Calls in flight; a call that would exceed it counts as failed. Default 64. */
  readonly maxInFlight?: number
  /** Of an HTTP call; default `/demo`. */
  readonly path?: string
  /** Bytes before the first request of each HTTP connection, made anew for each: a PROXY header. */
  readonly greeting?: () => Buffer
}

const callTimeoutMs = 5000
const defaultMaxInFlight = 64

/** @param hostHeader the service's name on the shared port; undefined on a port of its own. */
export function startHttpCaller(options: CallerOptions, hostHeader: string | undefined): Caller {
  const tally = new Tally(options.now)
  const { address: host, port, greeting, maxInFlight = defaultMaxInFlight, path = '/demo' } = options
  const agent = new Agent({ keepAlive: true, maxSockets: maxInFlight })
  if (greeting !== undefined) {
    agent.createConnection = () => {
      const socket = connect({ host, port, noDelay: true })
      socket.write(greeting())
      return socket
    }
  }
  let inFlight = 0
  let peak = 0
  const timer = setInterval(() => {
    if (inFlight >= maxInFlight) {
      tally.add({ isGood: false, tier: '', version: '', latencyMs: callTimeoutMs, reason: 'too many calls wait' })
      return
    }
    inFlight++
    peak = Math.max(peak, inFlight)
    const startedAt = options.now()
    let isSettled = false
    const settle = (isGood: boolean, tier: string, version: string, reason: string): void => {
      if (isSettled) return
      isSettled = true
      inFlight--
      tally.add({ isGood, tier, version, latencyMs: options.now() - startedAt, reason })
    }
    const outgoing = request(
      {
        agent,
        host,
        port,
        path,
        timeout: callTimeoutMs,
        headers: { host: hostHeader ?? options.to },
      },
      (incoming) => {
        incoming.resume()
        incoming.on('end', () => {
          const status = incoming.statusCode ?? 0
          const error = String(incoming.headers[headers.error] ?? '')
          settle(
            status === 200,
            String(incoming.headers[headers.tier] ?? 'none'),
            String(incoming.headers['x-demo-version'] ?? ''),
            status === 200 ? '' : `${status} ${error}`.trim(),
          )
        })
        incoming.on('error', (error) => settle(false, '', '', reasonOf(error)))
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')))
    outgoing.on('error', (error) => settle(false, '', '', reasonOf(error)))
    outgoing.end()
  }, 1000 / options.rate)
  return {
    from: options.from,
    to: options.to,
    how: hostHeader === undefined ? `port ${options.port}` : `shared port ${options.port}`,
    tally,
    takePeak: () => {
      const taken = peak
      peak = inFlight
      return taken
    },
    stop: () => {
      clearInterval(timer)
      agent.destroy()
    },
  }
}

/** One long TCP connection with a question per tick; a broken connection is a failure and is dialled again. */
export function startLineCaller(options: CallerOptions): Caller {
  const { maxInFlight = defaultMaxInFlight } = options
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
