import { expect } from 'chai'
import { cleanText } from '../../../../../agent/control/events/clean-text.ts'
import { Exporter, maxQueuedBytes } from '../../../../../agent/control/telemetry/exporter.ts'
import { httpSender } from '../../../../../agent/control/telemetry/http-sender.ts'
import { grpcSender } from '../../../../../agent/control/telemetry/grpc-sender.ts'
import type { RecordGroup } from '../../../../../agent/control/telemetry/envelope.ts'
import type { ExporterDeps } from '../../../../../agent/control/telemetry/exporter.ts'
import type { ShortGroup } from '../../../../../agent/control/telemetry/short-records.ts'
import type { Sender, SendOutcome } from '../../../../../agent/control/telemetry/sender.ts'
import { ControlMetrics } from '../../../../../agent/control/observe.ts'
import { recordHeadBytes } from '../../../../../contracts/telemetry.ts'
import { systemClock } from '../../../../../contracts/clock.ts'
import type { Clock } from '../../../../../contracts/clock.ts'
import { StandInCollector } from '../../../../support/otlp/collector.ts'
import { changeProtocol, startHostileServer } from '../../../../support/hostile-server.ts'
import { frameOf, groupsOf, shortGroup } from '../../../../support/otlp/short-groups.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

const facts = { host: 'h1', zone: '', version: '1' }
const noLog = { debug() {}, info() {}, warn() {}, error() {} }
/** One log record with a severity. */
const record = Buffer.from([0x10, 9])

const group = (count = 1): ShortGroup =>
  shortGroup(
    'shop',
    Array.from({ length: count }, () => record),
  )
const whole = (count = 1): RecordGroup => groupsOf(frameOf('logs', group(count)))[0]!
/** As many bytes of whole records. */
const large = (count: number, length: number): ShortGroup =>
  shortGroup('shop', [Buffer.alloc(length - recordHeadBytes)], count)

describe('records on their way to the collector', () => {
  let metrics: ControlMetrics
  let asked: number[]
  let answers: SendOutcome[]
  let pauses: { ms: number; call: () => void }[]
  let release: (() => void) | undefined
  const clock: Clock = {
    ...systemClock,
    after: (ms, call) => {
      const pause = { ms, call }
      pauses.push(pause)
      return () => pauses.splice(pauses.indexOf(pause), 1)
    },
  }
  const sender: Sender = {
    send: async (_signal, groups) => {
      asked.push(groups.reduce((sum, { count }) => sum + count, 0))
      if (release !== undefined) await new Promise<void>((resolve) => (release = resolve))
      return answers.shift() ?? { kind: 'taken', rejected: 0, reason: '' }
    },
    close() {},
  }
  const exporter = (log: ExporterDeps['log'] = noLog): Exporter =>
    new Exporter({ signal: 'logs', collector: 'http://c', sender, clock, random: () => 1, log, metrics })

  const metric = (name: string, label = ''): number =>
    metrics
      .series()
      .filter((series) => series.name === name)
      .flatMap(({ samples }) => samples)
      .filter(({ labels }) => label === '' || labels.includes(label))
      .reduce((sum, { value }) => sum + value, 0)

  beforeEach(() => {
    metrics = new ControlMetrics()
    asked = []
    answers = []
    pauses = []
    release = undefined
  })

  it('go in one request at a time, everything that waits in the next one', async () => {
    const out = exporter()
    release = () => {}
    out.take([group()])
    out.take([group(2)])
    out.take([group(3)])
    expect(asked).to.deep.equal([1])
    const go = release as () => void
    release = undefined
    go()
    await eventually(() => metric('hostmesh_telemetry_sent_total') === 6)
    expect(asked).to.deep.equal([1, 5])
  })

  it('wait for others a moment, where that is wanted, and not at the end', async () => {
    const deps = { signal: 'logs', collector: 'http://c', sender, clock, random: () => 1, log: noLog, metrics } as const
    const out = new Exporter({ ...deps, lingerMs: 100 })
    out.take([group()])
    out.take([group(2)])
    expect(asked).to.deep.equal([])
    pauses.shift()!.call()
    await eventually(() => metric('hostmesh_telemetry_sent_total') === 3)
    expect(asked).to.deep.equal([3])
    out.take([group(4)])
    await out.close(1000)
    expect(asked).to.deep.equal([3, 4])
  })

  it('wait with growing pauses while the collector is gone, up to the bound, and then all go', async () => {
    const out = exporter()
    const again = { kind: 'again', reason: 'gone', afterMs: undefined } as const
    answers = Array.from({ length: 9 }, () => again)
    out.take([group()])
    const seen: number[] = []
    for (let round = 0; round < 9; round++) {
      await eventually(() => pauses.length === 1)
      const { call, ms } = pauses.shift()!
      seen.push(ms)
      call()
    }
    expect(seen).to.deep.equal([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
    await eventually(() => metric('hostmesh_telemetry_sent_total') === 1)
    expect(metric('hostmesh_telemetry_collector_up')).to.equal(1)
  })

  it('drop the oldest beyond the bound and count them, however long it takes', async () => {
    const out = exporter()
    answers = [{ kind: 'again', reason: 'gone', afterMs: undefined }]
    out.take([group()])
    await eventually(() => pauses.length === 1)
    expect(metric('hostmesh_telemetry_collector_up')).to.equal(0)
    for (let round = 0; round < 20; round++) out.take([large(1000, maxQueuedBytes / 8)])
    // by the request, two of these each, and the last one has room yet
    expect(metric('hostmesh_telemetry_queue_bytes')).to.equal((maxQueuedBytes / 8) * 7)
    expect(metric('hostmesh_telemetry_dropped_total', 'queue-full')).to.equal(13_001)
    pauses.shift()!.call()
    await eventually(() => metric('hostmesh_telemetry_sent_total') === 7000)
  })

  it('cost the same few megabytes when the collector is gone for an hour under full load', async () => {
    const out = exporter()
    answers = { shift: () => ({ kind: 'again', reason: 'gone', afterMs: undefined }) } as unknown as SendOutcome[]
    const batch = large(300, 192 * 1024)
    const before = process.memoryUsage().arrayBuffers
    let [most, now, due] = [0, 0, Infinity]
    for (; now < 3_600_000; now += 200) {
      out.take([batch])
      // a request is answered within the turn
      await Promise.resolve()
      if (pauses.length > 0 && due === Infinity) due = now + pauses[0]!.ms
      if (now >= due) {
        due = Infinity
        pauses.shift()!.call()
      }
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }
    expect(most).to.be.below(6 * 1024 * 1024)
    expect(asked.length).to.be.within(100, 300)
    const kept = (metric('hostmesh_telemetry_queue_bytes') / batch.length) * 300
    const dropped = metric('hostmesh_telemetry_dropped_total', 'queue-full')
    expect(dropped + kept).to.be.within((now / 200) * 300 - 2000, (now / 200) * 300)
    expect(metric('hostmesh_telemetry_sent_total')).to.equal(0)
  })

  it('wait as long as the collector asks for, within reason', async () => {
    const out = exporter()
    answers = [
      { kind: 'again', reason: 'busy', afterMs: 7000 },
      { kind: 'again', reason: 'busy', afterMs: 1e9 },
    ]
    out.take([group()])
    await eventually(() => pauses.length === 1)
    expect(pauses[0]!.ms).to.equal(7000)
    pauses.shift()!.call()
    await eventually(() => pauses.length === 1)
    expect(pauses[0]!.ms).to.equal(30_000)
  })

  it('are counted as refused when it says so, and not sent again', async () => {
    const out = exporter()
    answers = [
      { kind: 'refused', reason: 'status 400' },
      { kind: 'taken', rejected: 2, reason: 'too old' },
    ]
    out.take([group(5)])
    await eventually(() => metric('hostmesh_telemetry_dropped_total', 'refused') === 5)
    out.take([group(5)])
    await eventually(() => metric('hostmesh_telemetry_sent_total') === 3)
    expect(metric('hostmesh_telemetry_dropped_total', 'refused')).to.equal(7)
    expect(asked).to.deep.equal([5, 5])
  })

  it('bring no word of the collector to a terminal or a log but in one short clean line each ten seconds', async () => {
    const lines: string[] = []
    const out = exporter({ ...noLog, warn: (_fields: object, text: string) => void lines.push(text) })
    for (let round = 0; round < 20; round++) {
      answers = [{ kind: 'taken', rejected: 1, reason: `\u001b]0;owned\u0007\u009b2J${'x'.repeat(60_000)}${round}` }]
      out.take([group()])
      await eventually(() => metric('hostmesh_telemetry_dropped_total', 'refused') === round + 1)
    }
    expect(lines).to.have.length(1)
    for (const text of [lines[0]!, out.view().problem!]) {
      expect(text).to.include('owned').and.equal(cleanText(text, 500))
    }
  })

  it('are sent before control ends, but it does not wait for a collector that is gone', async () => {
    const out = exporter()
    release = () => {}
    out.take([group()])
    out.take([group()])
    const closed = out.close(1000)
    const go = release as () => void
    release = undefined
    go()
    await closed
    expect(metric('hostmesh_telemetry_sent_total')).to.equal(2)

    answers = [{ kind: 'again', reason: 'gone', afterMs: undefined }]
    const second = exporter()
    second.take([group(3)])
    await eventually(() => pauses.length > 0)
    await second.close(1e9)
    expect(metric('hostmesh_telemetry_dropped_total', 'end')).to.equal(3)
  })
})

describe('a collector', () => {
  let collector: StandInCollector
  beforeEach(async () => {
    collector = await StandInCollector.start()
  })
  afterEach(() => collector.close())

  const http = (extra: Partial<Parameters<typeof httpSender>[0]> = {}): Sender =>
    httpSender({
      protocol: 'otlp-http',
      url: new URL(collector.url),
      fields: { 'x-key': 'k' },
      tls: {},
      timeoutMs: 2000,
      facts,
      ...extra,
    })
  const grpc = (): Sender =>
    grpcSender({ url: new URL(collector.grpcUrl), fields: { 'x-key': 'k' }, tls: {}, timeoutMs: 2000, facts })

  for (const [name, make, path] of [
    ['over HTTP', http, '/v1/logs'],
    ['over gRPC', grpc, '/opentelemetry.proto.collector.logs.v1.LogsService/Export'],
  ] as const)
    it(`is given records and our headers ${name}`, async () => {
      const sender = make()
      expect(await sender.send('logs', [whole(3)])).to.deep.include({ kind: 'taken', rejected: 0 })
      collector.rejects = 2
      expect(await sender.send('logs', [whole(3)])).to.deep.equal({ kind: 'taken', rejected: 2, reason: 'no' })
      expect(collector.records.logs.map(({ severity }) => severity)).to.deep.equal([9, 9, 9, 9, 9, 9])
      expect(collector.requests[0]).to.deep.include({ path })
      expect(collector.requests[0]!.headers).to.include({ 'x-key': 'k' })
      sender.close()
    })

  it('adds to a path of its own', async () => {
    const sender = http({ url: new URL(`${collector.url}/otel/`) })
    await sender.send('logs', [whole()])
    expect(collector.requests[0]!.path).to.equal('/otel/v1/logs')
    sender.close()
  })

  it('says by its status whether to ask again', async () => {
    const sender = http()
    for (const [status, kind] of [
      [429, 'again'],
      [503, 'again'],
      [400, 'refused'],
      [404, 'refused'],
      [401, 'refused'],
    ] as const) {
      collector.httpStatus = status
      expect((await sender.send('logs', [whole()])).kind, String(status)).to.equal(kind)
    }
    collector.httpStatus = 503
    collector.retryAfter = '3'
    expect(await sender.send('logs', [whole()])).to.deep.equal({ kind: 'again', reason: 'status 503', afterMs: 3000 })
    sender.close()
    const calls = grpc()
    for (const [status, kind] of [
      [14, 'again'],
      [8, 'again'],
      [3, 'refused'],
      [16, 'refused'],
      [12, 'refused'],
    ] as const) {
      collector.grpcStatus = status
      expect((await calls.send('logs', [whole()])).kind, String(status)).to.equal(kind)
    }
    calls.close()
  })

  it('that does not answer, or is not there, is asked again later', async () => {
    collector.hangs = true
    const sender = http({ timeoutMs: 50 })
    expect(await sender.send('logs', [whole()])).to.deep.include({ kind: 'again' })
    sender.close()
    const nobody = http({ url: new URL('http://127.0.0.1:1') })
    expect(await nobody.send('logs', [whole()])).to.deep.include({ kind: 'again' })
    nobody.close()
  })

  it('that changes the protocol is down, and is asked again', async () => {
    let asked = 0
    const server = await startHostileServer((socket, line) => {
      asked++
      changeProtocol(socket, line)
    })
    const out = new Exporter({
      signal: 'logs',
      collector: 'http://c',
      sender: http({ url: new URL(`http://127.0.0.1:${server.port}`), timeoutMs: 60_000 }),
      clock: { ...systemClock, after: (_ms, call) => systemClock.after(0, call) },
      random: () => 1,
      log: noLog,
      metrics: new ControlMetrics(),
    })
    out.take([group()])
    await eventually(() => asked > 1)
    expect(out.view()).to.include({ isUp: false, problem: 'the connection ended without an answer' })
    await out.close(0)
    await server.stop()
  })
})
