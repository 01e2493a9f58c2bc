/** h2load (nghttp2): a closed-loop generator of HTTP/2 requests by prior knowledge, and of HTTP/1.1 if asked for. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface H2loadOptions {
  readonly cpus: string
  readonly url: string
  readonly connections: number
  /** Streams at once, of each connection. */
  readonly streams: number
  readonly seconds: number
  readonly headers?: Readonly<Record<string, string>>
  /** Content of each request, which is a POST then. */
  readonly contentFile?: string
  /** One URL a line, taken in turn, in place of `url`. */
  readonly urlsFile?: string
  /** HTTP/1.1, `streams` requests at once of each connection. */
  readonly isHttp1?: boolean
  /** Where it connects in place of the address in `url`: `HOST:PORT`, or the path of a unix socket. */
  readonly to?: string
}

export interface H2loadResult {
  readonly requests: number
  readonly errors: number
  readonly requestsPerSecond: number
}

export const h2loadMissing = 'apt-get install nghttp2-client'

export async function runH2load(options: H2loadOptions): Promise<H2loadResult> {
  const { connections, contentFile, cpus, headers = {}, isHttp1, seconds, streams, to, url, urlsFile } = options
  const words = [
    '-t1',
    `-c${connections}`,
    `-m${streams}`,
    '-D',
    String(seconds),
    ...(isHttp1 === true ? ['--h1'] : []),
    ...(to === undefined ? [] : to.startsWith('/') ? ['-B', `unix:${to}`] : [`--connect-to=${to}`]),
    ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    ...(contentFile === undefined ? [] : ['-d', contentFile]),
    ...(urlsFile === undefined ? [url] : ['-i', urlsFile]),
  ]
  const child = spawn('taskset', ['-c', cpus, 'h2load', ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(child, 'close')
  const counts = /(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(text)
  const rate = /finished in .*, ([\d.]+) req\/s/.exec(text)
  const codes = /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(text)
  if (counts === null || rate === null || codes === null) throw new Error(`h2load gave no result: ${text}`)
  const [, , succeeded, failed, errored, timedOut] = counts.map(Number)
  return {
    requests: succeeded!,
    errors: failed! + errored! + timedOut! + Number(codes[3]) + Number(codes[4]),
    requestsPerSecond: Number(rate[1]),
  }
}
