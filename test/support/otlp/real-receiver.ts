/** The OpenTelemetry collector's own receiver (Go module), as a process that says what it takes. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { freePort } from '../free-port.ts'

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

/** Of OTLP's JSON what is read here. */
export interface TakenRecord {
  /** Of what sent it. */
  readonly resource: Readonly<Record<string, unknown>>
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  /** Of a span: 2 = server, 3 = client. */
  readonly kind: number | undefined
  readonly attributes: Readonly<Record<string, unknown>>
}

type RawRecord = Omit<TakenRecord, 'resource' | 'attributes'> & { readonly attributes?: readonly Attribute[] }

interface Group {
  readonly resource: { readonly attributes?: readonly Attribute[] }
  readonly scopeSpans?: readonly { readonly spans: readonly RawRecord[] }[]
  readonly scopeLogs?: readonly { readonly logRecords: readonly RawRecord[] }[]
}

interface Line {
  readonly traces?: { readonly resourceSpans: readonly Group[] }
  readonly logs?: { readonly resourceLogs: readonly Group[] }
}

export class RealReceiver {
  readonly traces: TakenRecord[] = []
  readonly logs: TakenRecord[] = []
  readonly url: string
  readonly grpcUrl: string
  private readonly child: ChildProcess

  /** @param program as `goTool(otlpReceiver)` made it. */
  static async start(program: string): Promise<RealReceiver> {
    const receiver = new RealReceiver(program, await freePort(), await freePort())
    await receiver.isUp
    return receiver
  }

  private readonly isUp: Promise<unknown>

  private constructor(program: string, grpcPort: number, httpPort: number) {
    this.url = `http://127.0.0.1:${httpPort}`
    this.grpcUrl = `http://127.0.0.1:${grpcPort}`
    const addresses = [grpcPort, httpPort].map((port) => `127.0.0.1:${port}`)
    this.child = spawn(program, addresses, { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface({ input: this.child.stdout! })
    this.isUp = Promise.race([
      once(lines, 'line'),
      once(this.child, 'exit').then(([code]) => {
        throw new Error(`the receiver ended with ${code}`)
      }),
    ])
    lines.on('line', (line) => this.take(JSON.parse(line) as Line))
  }

  async close(): Promise<void> {
    const exited = once(this.child, 'exit')
    this.child.kill()
    await exited
  }

  private take({ logs, traces }: Line): void {
    for (const { resource, scopeSpans = [] } of traces?.resourceSpans ?? [])
      for (const { spans } of scopeSpans) this.traces.push(...spans.map((span) => taken(span, resource)))
    for (const { resource, scopeLogs = [] } of logs?.resourceLogs ?? [])
      for (const { logRecords } of scopeLogs) this.logs.push(...logRecords.map((record) => taken(record, resource)))
  }
}

function taken(raw: RawRecord, resource: Group['resource']): TakenRecord {
  return { ...raw, attributes: plain(raw.attributes), resource: plain(resource.attributes) }
}

function plain(attributes: readonly Attribute[] = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
