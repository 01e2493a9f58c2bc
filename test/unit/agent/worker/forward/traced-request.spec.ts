import { expect } from 'chai'
import { exportRequest } from '../../../../../agent/control/telemetry/envelope.ts'
import type { MeshSpec } from '../../../../../contracts/snapshot.ts'
import type { HttpRouteSpec } from '../../../../../contracts/route-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { readExport, signalOf } from '../../../../support/otlp/messages.ts'
import type { ReadRecord } from '../../../../support/otlp/messages.ts'
import { groupsOf } from '../../../../support/otlp/short-groups.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const id = '0af7651916cd43dd8448eb211c80319c'
const parent = 'b7ad6b7169203331'

describe('spans of requests', () => {
  let backend: RecordingBackend
  let started: StartedWorker
  let frames: Buffer[]

  beforeEach(async () => {
    frames = []
    backend = await RecordingBackend.start()
  })

  afterEach(async () => {
    started.stop()
    await backend.close()
  })

  async function start(mesh: Partial<MeshSpec>, route: Partial<HttpRouteSpec> = {}): Promise<void> {
    started = await startWorker(
      {
        services: [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }], route }],
        mesh,
      },
      {
        sendTelemetry: (_signal, bytes, done) => {
          frames.push(Buffer.from(bytes))
          setImmediate(done)
          return true
        },
      },
    )
  }

  async function ask(fields = '', target = '/a'): Promise<string> {
    const caller = await RawCaller.open(started.port('orders'))
    caller.send(`GET ${target} HTTP/1.1\r\nHost: orders\r\n${fields}Connection: close\r\n\r\n`)
    await caller.closed()
    caller.close()
    return caller.text
  }

  async function records(signal: 'traces' | 'logs', count: number): Promise<ReadRecord[]> {
    const found = (): ReadRecord[] =>
      frames
        .filter((frame) => signalOf(frame) === signal)
        .flatMap((frame) => readExport(signal, exportRequest(groupsOf(frame), { host: 'h', zone: '', version: '1' })))
    await eventually(() => found().length >= count)
    return found()
  }

  const received = (): string => backend.connections.map(({ bytes }) => bytes.toString()).join('')

  it('a span of ours stands between the caller and the endpoint', async () => {
    await start({ tracing: { createMissing: true, sampledShare: 0, isExported: true } })
    await ask(`traceparent: 00-${id}-${parent}-01\r\ntracestate: v=1\r\n`)
    const [span] = await records('traces', 1)
    expect(span).to.include({ traceId: id, parentId: parent, kind: 3, name: 'GET orders' })
    expect(received().match(/traceparent: (.*)\r\n/g)).to.deep.equal([`traceparent: 00-${id}-${span!.spanId}-01\r\n`])
    expect(received()).to.match(/tracestate: v=1\r\n/)
    expect(started.metric('hostmesh_spans_recorded_total')).to.equal(1)
  })

  it('a trace that cannot be read ends here, with what systems kept beside it', async () => {
    await start({ tracing: { createMissing: true, sampledShare: 1, isExported: true } })
    await ask(`traceparent: 00-${id}-nonsense-01\r\ntracestate: v=1\r\n`)
    const [span] = await records('traces', 1)
    expect(span!.traceId).to.not.equal(id)
    expect(received().match(/traceparent: (.*)\r\n/g)).to.deep.equal([
      `traceparent: 00-${span!.traceId}-${span!.spanId}-01\r\n`,
    ])
    expect(received()).to.not.contain('tracestate')
  })

  it('all attempts of a request are one span, which says how many they were', async () => {
    await start(
      { tracing: { createMissing: true, sampledShare: 1, isExported: true } },
      { retry: { attempts: 2, perTryTimeoutMs: 0, on: ['reset'], statuses: [], backoffMs: 1 } },
    )
    backend.answer = (_message, connection) => {
      backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
      connection.socket.destroy()
      return undefined
    }
    await ask()
    const [span, ...others] = await records('traces', 1)
    expect(others).to.deep.equal([])
    expect(span!.attributes['http.request.resend_count']).to.equal(1)
    const sent = [...received().matchAll(/traceparent: 00-(\w+)-(\w+)-01/g)].map(([, trace, own]) => `${trace} ${own}`)
    expect(sent).to.deep.equal(Array.from({ length: 2 }, () => `${span!.traceId} ${span!.spanId}`))
  })

  it('what no endpoint saw has a span, too', async () => {
    await start({ tracing: { createMissing: true, sampledShare: 1, isExported: true } })
    await backend.close()
    expect(await ask()).to.match(/^HTTP\/1\.1 503 /)
    const [span] = await records('traces', 1)
    expect(span).to.include({ isError: true })
    expect(span!.attributes['error.type']).to.match(/^E_CONNECT_/)
  })

  it('a rule that edits headers and a trace that goes on do not touch each other', async () => {
    await start(
      { tracing: { createMissing: true, sampledShare: 0, isExported: true } },
      { requestHeaders: { set: [['x-set', 'yes']], add: [], remove: ['x-gone'] } },
    )
    await ask(`traceparent: 00-${id}-${parent}-01\r\nx-gone: 1\r\n`)
    const [span] = await records('traces', 1)
    expect(received()).to.include('x-set: yes\r\n').and.not.include('x-gone')
    expect(received().match(/traceparent/g)).to.have.length(1)
    expect(received()).to.include(span!.spanId)
  })

  it('lines of the access log are records, with the span that belongs to them', async () => {
    await start({
      tracing: { createMissing: true, sampledShare: 1, isExported: true },
      accessLog: { format: 'off', path: '-', share: 1, isExported: true },
    })
    await ask()
    const [span] = await records('traces', 1)
    const [record] = await records('logs', 1)
    expect(record).to.include({ traceId: span!.traceId, spanId: span!.spanId, body: 'GET /a 200' })
  })

  it('a collector that comes and goes changes only that', async () => {
    await start({ tracing: { createMissing: true, sampledShare: 1 } })
    await ask()
    const { mesh } = started.worker.state
    await started.change({ mesh: { ...mesh, tracing: { createMissing: true, sampledShare: 1, isExported: true } } })
    await ask('', '/recorded')
    const spans = await records('traces', 1)
    expect(spans.map((span) => span.attributes['url.path'])).to.deep.equal(['/recorded'])
    await started.change({ mesh })
    await ask()
    expect(started.metric('hostmesh_spans_recorded_total')).to.equal(1)
  })
})
