/** A worker with filters of users before one service, and callers of HTTP/1.1 and HTTP/2. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HttpRouteSpec } from '../../contracts/route-spec.ts'
import type { UserFilterSpec } from '../../contracts/user-filter-spec.ts'
import { RecordingBackend } from './http1/recording-backend.ts'
import { startWorker } from './worker/start-worker.ts'
import type { StartedWorker } from './worker/start-worker.ts'

export interface Got {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly bytes: Buffer
}

export interface Asked {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** `text`: of its module. */
export type FilterPlan = Partial<UserFilterSpec> & { readonly name: string; readonly text?: string }

export class FilteredWorker {
  readonly directory: string
  readonly backend: RecordingBackend
  readonly started: StartedWorker

  static async start(plans: readonly FilterPlan[], route: Partial<HttpRouteSpec> = {}): Promise<FilteredWorker> {
    const directory = mkdtempSync(join(tmpdir(), 'hostmesh-filters-'))
    const backend = await RecordingBackend.start()
    const userFilters = plans.map((plan) => specOf(directory, plan))
    const origin = { kind: 'MeshPolicy', name: 'p', path: '' }
    const filters = plans.map(({ name }) => ({ kind: 'user', name, origin }) as const)
    const endpoints = [{ address: '127.0.0.1', port: backend.port }]
    const started = await startWorker({
      services: [{ name: 'orders', endpoints, route: { filters, ...route } }],
      mesh: { userFilters },
    })
    return new FilteredWorker(directory, backend, started)
  }

  private constructor(directory: string, backend: RecordingBackend, started: StartedWorker) {
    this.directory = directory
    this.backend = backend
    this.started = started
  }

  call({ body, headers, method = body === undefined ? 'GET' : 'POST', path = '/' }: Asked = {}): Promise<Got> {
    return new Promise((resolve, reject) => {
      const sent = request({ port: this.started.port('orders'), method, path, headers: { host: 'orders', ...headers } })
      sent.on('error', reject)
      sent.on('response', (reply) => {
        const chunks: Buffer[] = []
        reply.on('data', (chunk: Buffer) => chunks.push(chunk))
        reply.on('error', reject)
        reply.on('end', () => resolve(gotOf(reply.statusCode!, reply.headers, chunks)))
      })
      sent.end(body)
    })
  }

  callHttp2({ body, headers, method = body === undefined ? 'GET' : 'POST', path = '/' }: Asked = {}): Promise<Got> {
    return new Promise((resolve, reject) => {
      const session = connect(`http://127.0.0.1:${this.started.port('orders')}`)
      session.on('error', reject)
      const stream = session.request({ ':method': method, ':path': path, ':authority': 'orders', ...headers })
      let head: IncomingHttpHeaders & { ':status'?: number | undefined } = {}
      const chunks: Buffer[] = []
      stream.on('response', (given) => (head = given))
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('error', reject)
      stream.on('end', () => {
        session.close()
        resolve(gotOf(head[':status']!, head, chunks))
      })
      stream.end(body)
    })
  }

  /** What the endpoint got, names in lower case. */
  lastHead(): string {
    const { fields } = this.backend.requests.at(-1)!
    return fields.map(([name, value]) => `${name.toLowerCase()}: ${value}\n`).join('')
  }

  async stop(): Promise<void> {
    this.started.stop()
    await this.backend.close()
    rmSync(this.directory, { recursive: true })
  }
}

function gotOf(status: number, headers: IncomingHttpHeaders, chunks: readonly Buffer[]): Got {
  const bytes = Buffer.concat(chunks)
  return { status, headers, bytes, body: bytes.toString('latin1') }
}

export function specOf(directory: string, { text, ...plan }: FilterPlan): UserFilterSpec {
  const path = join(directory, `${plan.name}.mjs`)
  if (text !== undefined) writeFileSync(path, text, { mode: 0o600 })
  return {
    ...(text === undefined ? {} : { path }),
    settings: {},
    directory,
    deadlineMs: 1000,
    failOpen: false,
    maxFailures: 10,
    offMs: 60_000,
    ...plan,
  }
}
