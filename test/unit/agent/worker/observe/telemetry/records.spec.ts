import { expect } from 'chai'
import { exportRequest } from '../../../../../../agent/control/telemetry/envelope.ts'
import type { RecordGroup } from '../../../../../../agent/control/telemetry/envelope.ts'
import { zipkinSpans } from '../../../../../../agent/control/telemetry/zipkin.ts'
import { LogRecords } from '../../../../../../agent/worker/observe/telemetry/log-records.ts'
import { Outbox } from '../../../../../../agent/worker/observe/telemetry/outbox.ts'
import { SpanRecords } from '../../../../../../agent/worker/observe/telemetry/span-records.ts'
import type { LoggedRequest } from '../../../../../../agent/worker/observe/logged-request.ts'
import { Http1Request } from '../../../../../../agent/worker/protocols/http1/request-message.ts'
import { readRequest } from '../../../../../../http1/read-request.ts'
import { StringCache } from '../../../../../../http1/string-cache.ts'
import type { Signal } from '../../../../../../contracts/telemetry.ts'
import { readExport, signalOf } from '../../../../../support/otlp/messages.ts'
import { groupsOf } from '../../../../../support/otlp/short-groups.ts'
import { seededRandom } from '../../../../../support/seeded-random.ts'

const facts = { host: 'h1', zone: 'z1', version: '9.9.9' }
const base: LoggedRequest = {
  method: 'GET',
  path: '/items/7?token=secret',
  barePath: '/items/7',
  query: 'token=secret',
  authority: 'orders',
  status: 200,
  grpcStatus: -1,
  streamId: 0,
  code: undefined,
  flag: '-',
  details: '',
  notes: '',
  durationMs: 12.5,
  headMs: 11,
  requestBytes: 3,
  replyBytes: 1_234_567_890,
  sourceAddress: '127.0.0.1',
  sourceApp: 'shop',
  upstreamId: '10.0.0.1:80',
  upstreamCluster: 'public/DEFAULT_GROUP@@orders',
  routeName: 'default',
  listenerName: 'service:orders',
  attempts: 3,
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  ids: undefined,
  givenId: undefined,
  reporter: 'source',
  service: 'orders',
  localService: 'shop',
  tier: 'agent',
  protocol: 'HTTP/1.1',
  header: (name) => (name === 'x-request-id' ? 'id-1' : undefined),
  replyField: () => undefined,
}
const trace = {
  traceId: Buffer.from('0af7651916cd43dd8448eb211c80319c'),
  spanId: Buffer.from('b7ad6b7169203331'),
  parentId: Buffer.from('00f067aa0ba902b7'),
  hasParent: true,
}

describe('records for a collector', () => {
  let sent: Buffer[]
  let dropped: number
  let isThere: boolean
  let finish: (() => void)[]

  beforeEach(() => {
    sent = []
    dropped = 0
    isThere = true
    finish = []
  })

  function outbox(signal: Signal): Outbox {
    return new Outbox({
      signal,
      send: (bytes, done) => {
        if (!isThere) return false
        sent.push(Buffer.from(bytes))
        finish.push(done)
        return true
      },
      onDropped: (count) => (dropped += count),
    })
  }

  const writerOf = (signal: Signal, out: Outbox): ((request: LoggedRequest) => void) => {
    if (signal === 'traces') {
      const spans = new SpanRecords(out, () => 1)
      return (request) => spans.write(request, trace)
    }
    const logs = new LogRecords(out, () => 1)
    return (request) => logs.write(request)
  }
  const groups = (): RecordGroup[] => sent.flatMap(groupsOf)

  it('a span is what the official code of OpenTelemetry reads, without the query', () => {
    const out = outbox('traces')
    new SpanRecords(out, () => 1_700_000_000_000.5).write(base, trace)
    out.flush()
    const [span, ...others] = readExport('traces', exportRequest(groups(), facts))
    expect(others).to.deep.equal([])
    expect(span).to.deep.include({
      scope: 'hostmesh',
      traceId: base.traceId,
      spanId: base.spanId,
      parentId: '00f067aa0ba902b7',
      name: 'GET orders',
      kind: 3,
      isError: false,
    })
    expect(span!.endMs - span!.startMs).to.be.closeTo(12.5, 0.001)
    expect(span!.endMs).to.be.closeTo(1_700_000_000_000.5, 0.001)
    expect(span!.resource).to.include({ 'service.name': 'shop', 'host.name': 'h1', 'cloud.availability_zone': 'z1' })
    expect(span!.attributes).to.deep.equal({
      'http.request.method': 'GET',
      'url.path': '/items/7',
      'server.address': 'orders',
      'network.protocol.version': '1.1',
      'http.response.status_code': 200,
      'http.request.resend_count': 2,
      'client.address': '127.0.0.1',
      'guid:x-request-id': 'id-1',
      'http.request.body.size': 3,
      'http.response.body.size': 1_234_567_890,
      response_flags: '-',
      upstream_cluster: 'public/DEFAULT_GROUP@@orders',
      upstream_address: '10.0.0.1:80',
      'mesh.route': 'default',
      'mesh.listener': 'service:orders',
      'mesh.tier': 'agent',
    })
  })

  it('a span says what failed: 404 to the caller only, a code of ours to both', () => {
    const out = outbox('traces')
    const spans = new SpanRecords(out, () => 1)
    spans.write({ ...base, status: 404 }, trace)
    spans.write({ ...base, status: 404, reporter: 'destination' }, { ...trace, hasParent: false })
    spans.write({ ...base, status: 503, code: 'E_CONNECT_REFUSED', reporter: 'destination' }, trace)
    out.flush()
    const read = readExport('traces', exportRequest(groups(), facts))
    expect(read.map((span) => span.isError)).to.deep.equal([true, false, true])
    expect(read.map((span) => span.kind)).to.deep.equal([3, 2, 2])
    expect(read.map((span) => span.parentId)).to.deep.equal(['00f067aa0ba902b7', '', '00f067aa0ba902b7'])
    expect(read[2]!.attributes['error.type']).to.equal('E_CONNECT_REFUSED')
  })

  it('a log record is a line of the access log', () => {
    const out = outbox('logs')
    new LogRecords(out, () => 1_700_000_000_000).write({ ...base, status: 503, code: 'E_CONNECT_REFUSED' })
    out.flush()
    const [record] = readExport('logs', exportRequest(groups(), facts))
    expect(record).to.deep.include({
      body: 'GET /items/7?token=secret 503',
      severity: 17,
      traceId: base.traceId,
      spanId: base.spanId,
    })
    expect(record!.attributes).to.include({
      path: '/items/7?token=secret',
      response_code: 503,
      mesh_error: 'E_CONNECT_REFUSED',
      duration: 12.5,
      upstream_host: '10.0.0.1:80',
      request_id: 'id-1',
    })
  })

  it('a target goes as the bytes that came, or as text where it is long, and is cut in the body', () => {
    const request = new Http1Request(new StringCache(), 8)
    const read = (target: string): void => {
      const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nhost: orders\r\n\r\n`, 'latin1')
      const limits = { maxRequestLineBytes: 8192, maxHeadBytes: 8192, maxFields: 8 }
      expect(readRequest(request.head, bytes, 0, bytes.length, limits)).to.be.above(0)
    }
    const out = outbox('logs')
    const logs = new LogRecords(out, () => 1)
    const long = `/${'x'.repeat(600)}`
    const targets = ['/a?b=c', '/', '/a?', long, `${long}?${'y'.repeat(600)}`]
    for (const target of targets) {
      read(target)
      logs.write({
        ...base,
        barePath: request.path,
        query: request.query,
        copyTarget: (into, at, most) => request.copyTarget(into, at, most),
      })
    }
    out.flush()
    const records = readExport('logs', exportRequest(groups(), facts))
    const wanted = targets.map((target) => target.replace(/\?$/, ''))
    expect(records.map(({ attributes }) => attributes['path'])).to.deep.equal(wanted.map((one) => one.slice(0, 1024)))
    expect(records.map(({ body }) => body)).to.deep.equal(wanted.map((one) => `GET ${one.slice(0, 512)} 200`))
  })

  it('a log record has the ids that are there, ours or those of a caller', () => {
    const out = outbox('logs')
    const logs = new LogRecords(out, () => 1)
    const ids = { isThere: true, isRecorded: true, traceId: trace.traceId, spanId: trace.spanId }
    const givenId = Buffer.from('01234567-89ab-4cde-8f01-23456789abcd')
    logs.write({ ...base, ids, givenId })
    logs.write({ ...base, ids: { ...ids, isRecorded: false }, givenId })
    logs.write({ ...base, ids, givenId: undefined })
    logs.write({ ...base, ids: { ...ids, isThere: false }, traceId: 'none', spanId: '', givenId })
    // the same block again
    logs.write({ ...base, ids: { ...ids, traceId: Buffer.from('f'.repeat(32)) }, givenId })
    out.flush()
    const records = readExport('logs', exportRequest(groups(), facts))
    expect(records.map(({ attributes, spanId, traceId }) => [traceId, spanId, attributes['request_id']])).to.deep.equal(
      [
        [base.traceId, base.spanId, givenId.toString()],
        [base.traceId, '', givenId.toString()],
        [base.traceId, base.spanId, 'id-1'],
        ['', '', givenId.toString()],
        ['f'.repeat(32), base.spanId, givenId.toString()],
      ],
    )
  })

  it('keeps whatever a caller wrote apart from the message around it', () => {
    const random = seededRandom(20)
    const letters = ['a', '\u0000', '\n', 'é', '张', '\ud800', '"', '\u00ff', 'x'.repeat(400)]
    const any = (): string =>
      Array.from({ length: Math.floor(random() * 12) }, () => letters[Math.floor(random() * letters.length)]!).join('')
    const out = outbox('traces')
    const logOut = outbox('logs')
    const spans = new SpanRecords(out, () => 1)
    const logs = new LogRecords(logOut, () => 1)
    const wanted: string[] = []
    for (let round = 0; round < 60; round++) {
      const path = `/${any()}`
      const request = {
        ...base,
        path,
        barePath: path,
        query: '',
        authority: any(),
        method: any(),
        service: any(),
        traceId: any(),
        header: () => any(),
      }
      wanted.push(Buffer.from(path.slice(0, 1024)).toString().split('?')[0]!)
      spans.write(request, trace)
      logs.write(request)
    }
    for (let round = 0; round < 2; round++) {
      out.flush()
      logOut.flush()
      for (const done of finish.splice(0)) done()
    }
    const of = (signal: Signal): RecordGroup[] =>
      sent.filter((frame) => signalOf(frame) === signal).flatMap((frame) => groupsOf(frame))
    const traces = readExport('traces', exportRequest(of('traces'), facts))
    expect(traces.map((span) => span.attributes['url.path'])).to.deep.equal(wanted)
    expect(readExport('logs', exportRequest(of('logs'), facts))).to.have.length(60)
    expect(zipkinSpans(of('traces'), facts)).to.have.length(60)
  })

  it('say what they share once in each batch, and are whole in all of them', () => {
    const out = outbox('logs')
    const logs = new LogRecords(out, () => 1)
    // more callers than are remembered, and one value that is too long for it
    const callers = ['a', 'b', 'a', 'c', 'd', 'e', 'a', 'b', `${'l'.repeat(1000)}`, 'a', `${'l'.repeat(1000)}`]
    const lengths: number[] = []
    for (let round = 0; round < 2; round++) {
      for (const sourceApp of callers) logs.write({ ...base, sourceApp })
      for (let more = 0; more < 100; more++) logs.write(base)
      out.flush()
      lengths.push(sent[round]!.length)
      for (const done of finish.splice(0)) done()
    }
    const read = readExport('logs', exportRequest(groups(), facts))
    const all = [...callers, ...Array.from({ length: 100 }, () => 'shop')]
    expect(read.map(({ attributes }) => attributes['source_app'])).to.deep.equal([...all, ...all])
    expect(read.every(({ attributes }) => attributes['listener'] === 'service:orders')).to.equal(true)
    const whole = groups().reduce((sum, { bytes }) => sum + bytes.length, 0)
    expect(lengths[0]! + lengths[1]!).to.be.below(0.7 * whole)
    expect(lengths[1]).to.be.within(lengths[0]! - 1024, lengths[0]! + 1024)
  })

  it('say of each value what it is now, whatever the record before said', () => {
    const other: Partial<LoggedRequest> = {
      method: 'PUT',
      authority: 'stock',
      protocol: 'HTTP/2',
      flag: 'UF',
      sourceAddress: '127.0.0.9',
      sourceApp: 'cart',
      upstreamId: '10.0.0.2:80',
      upstreamCluster: 'public/DEFAULT_GROUP@@stock',
      routeName: 'second',
      listenerName: 'service:stock',
      attempts: 2,
      tier: 'center',
      status: 201,
      service: 'stock',
      reporter: 'destination',
      header: () => 'browser',
    }
    const changed = Object.keys(other).map((name): LoggedRequest => {
      const value = other[name as keyof LoggedRequest]
      return { ...base, [name]: value }
    })
    for (const signal of ['logs', 'traces'] as const) {
      const alone = (request: LoggedRequest): Buffer => {
        sent = []
        const out = outbox(signal)
        const write = writerOf(signal, out)
        write(request)
        out.flush()
        return exportRequest(groups(), facts)
      }
      for (const request of changed) {
        const wanted = [...readExport(signal, alone(base)), ...readExport(signal, alone(request))]
        sent = []
        const out = outbox(signal)
        const write = writerOf(signal, out)
        for (const one of [base, request]) write(one)
        out.flush()
        expect(readExport(signal, exportRequest(groups(), facts))).to.deep.equal(wanted)
      }
    }
  })

  it('come apart by service, in one batch', () => {
    const out = outbox('traces')
    const spans = new SpanRecords(out, () => 1)
    for (const localService of ['shop', 'shop', 'cart', 'shop']) spans.write({ ...base, localService }, trace)
    out.flush()
    expect(groups().map(({ count, service }) => [service, count])).to.deep.equal([
      ['shop', 2],
      ['cart', 1],
      ['shop', 1],
    ])
    const read = readExport('traces', exportRequest(groups(), facts))
    expect(read.map((span) => span.resource['service.name'])).to.deep.equal(['shop', 'shop', 'shop', 'cart'])
  })

  it('are in Zipkin what Zipkin wants', () => {
    const out = outbox('traces')
    new SpanRecords(out, () => 1_700_000_000_000).write({ ...base, status: 503, code: 'E_CONNECT_REFUSED' }, trace)
    out.flush()
    const [span] = zipkinSpans(groups(), facts)
    expect(span).to.deep.include({
      traceId: base.traceId,
      id: base.spanId,
      parentId: '00f067aa0ba902b7',
      name: 'GET orders',
      kind: 'CLIENT',
      timestamp: 1_699_999_999_987_500,
      duration: 12_500,
      localEndpoint: { serviceName: 'shop' },
    })
    expect(span!.tags).to.include({ 'http.response.status_code': '503', error: 'E_CONNECT_REFUSED', 'host.name': 'h1' })
  })

  it('are dropped and counted when nobody takes them, in bounded memory, and go on when somebody does', () => {
    const out = outbox('traces')
    const spans = new SpanRecords(out, () => 1)
    spans.write(base, trace)
    out.flush()
    // the first batch is under way and stays so: what comes fills the second one
    for (let round = 0; round < 5000; round++) spans.write(base, trace)
    expect(dropped).to.be.above(3000)
    const lost = dropped
    for (const done of finish.splice(0)) done()
    expect(sent).to.have.length(2)
    for (const done of finish.splice(0)) done()
    expect(groups().reduce((sum, { count }) => sum + count, 0)).to.equal(5001 - lost)
    spans.write(base, trace)
    expect(dropped).to.equal(lost)
    out.close()
    expect(dropped).to.equal(lost + 1)
  })

  it('wait while nobody is there', () => {
    isThere = false
    const out = outbox('traces')
    const spans = new SpanRecords(out, () => 1)
    spans.write(base, trace)
    out.flush()
    isThere = true
    spans.write(base, trace)
    out.flush()
    expect(readExport('traces', exportRequest(groups(), facts))).to.have.length(2)
    expect(dropped).to.equal(0)
  })
})
