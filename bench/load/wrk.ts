/**
 * wrk: a closed-loop generator of keep-alive HTTP/1.1 requests. Good for CPU per request at saturation; its latencies
 * are those of a saturated proxy and compare only among themselves.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface WrkOptions {
  readonly cpus: string
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly headers?: Readonly<Record<string, string>>
  /** Runs it as this user of the host; takes root. */
  readonly user?: number
}

export interface WrkResult {
  readonly requests: number
  /** Socket errors and answers outside 2xx and 3xx: anything but 0 spoils the window. */
  readonly errors: number
  readonly requestsPerSecond: number
  /** µs, from wrk's own histogram of every answer. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number }
}

const script = fileURLToPath(new URL('./latency.lua', import.meta.url))

export async function runWrk(options: WrkOptions): Promise<WrkResult> {
  const headers = Object.entries(options.headers ?? {}).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const size = ['-t1', `-c${options.connections}`, `-d${options.seconds}s`, '-s', script]
  const as = options.user === undefined ? {} : { uid: options.user, gid: options.user }
  const child = spawn('taskset', ['-c', options.cpus, 'wrk', ...size, ...headers, options.url], {
    ...as,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(child, 'close')
  const requests = /(\d+) requests in/.exec(text)
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(text)
  const [p50 = 0, p99 = 0, p999 = 0, max = 0] = /^latency us (.*)$/m.exec(text)?.[1]?.split(' ').map(Number) ?? []
  if (requests === null || rate === null) throw new Error(`wrk gave no result: ${text}`)
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(text)
  let errors = Number(bad?.[1] ?? 0)
  for (const count of sockets?.slice(1) ?? []) errors += Number(count)
  return { requests: Number(requests[1]), errors, requestsPerSecond: Number(rate[1]), latency: { p50, p99, p999, max } }
}
