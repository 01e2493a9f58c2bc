/** The OpenTelemetry collector's own receivers (Go modules), as a process that says what it takes. */
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
  readonly name: string | undefined
  /** Of a span, epoch ns. */
  readonly startTimeUnixNano: string | undefined
  readonly endTimeUnixNano: string | undefined
  /** Of a span: 2 = an error. */
  readonly status: { readonly code?: number } | undefined
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
  readonly zipkinUrl: string
  private readonly child: ChildProcess

  /** @param program as `goTool(collectorReceivers)` made it. */
  static async start(program: string): Promise<RealReceiver> {
    const receiver = new RealReceiver(program, await freePort(), await freePort(), await freePort())
    await receiver.isUp
    return receiver
  }

  private readonly isUp: Promise<unknown>

  private constructor(program: string, grpcPort: number, httpPort: number, zipkinPort: number) {
    this.url = `http://127.0.0.1:${httpPort}`
    this.grpcUrl = `http://127.0.0.1:${grpcPort}`
    this.zipkinUrl = `http://127.0.0.1:${zipkinPort}`
    const addresses = [grpcPort, httpPort, zipkinPort].map((port) => `127.0.0.1:${port}`)
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
