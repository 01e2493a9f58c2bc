import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentConfig } from '../../../../../agent/control/config/types.ts'
import { ControlMetrics } from '../../../../../agent/control/observe.ts'
import { httpSender } from '../../../../../agent/control/telemetry/http-sender.ts'
import type { Telemetry } from '../../../../../agent/control/telemetry/telemetry.ts'
import { listeningTelemetry } from '../../../../support/otlp/control-telemetry.ts'
import { StandInCollector } from '../../../../support/otlp/collector.ts'
import { frameOf, shortGroup } from '../../../../support/otlp/short-groups.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

/** One log record with a severity. */
const frame = frameOf('logs', shortGroup('shop', [Buffer.from([0x10, 9])]))

describe('telemetry of control, as its configuration changes', () => {
  let collector: StandInCollector
  let folder: string
  let headersFile: string
  let metrics: ControlMetrics
  let lines: string[]
  let telemetry: Telemetry
  let worker: Socket | undefined

  beforeEach(async () => {
    collector = await StandInCollector.start()
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-telemetry-'))
    headersFile = join(folder, 'headers')
    metrics = new ControlMetrics()
    lines = []
    telemetry = await listeningTelemetry(folder, lines, metrics)
  })
  afterEach(async () => {
    worker?.destroy()
    worker = undefined
    await telemetry.close()
    await collector.close()
    rmSync(folder, { recursive: true })
  })

  const config = (protocol: string | undefined, url = collector.url): AgentConfig =>
    ({
      host: { name: 'h1', zone: '' },
      tracing: {},
      accessLog: protocol === undefined ? {} : { collector: { protocol, url, headersFile, timeout: 1000 } },
    }) as unknown as AgentConfig

  const upOf = (signal: string): number | undefined =>
    metrics
      .series()
      .find(({ name }) => name === 'hostmesh_telemetry_collector_up')
      ?.samples.find(({ labels }) => labels[0] === signal)?.value

  const dropped = (reason: string): number | undefined =>
    metrics
      .series()
      .find(({ name }) => name === 'hostmesh_telemetry_dropped_total')
      ?.samples.find(({ labels }) => labels[1] === reason)?.value

  /** Of a worker. */
  function write(): void {
    worker ??= connect(join(folder, 'telemetry.sock'))
    worker.write(frame)
  }

  it('a new token in the same file is taken at the next reload', async () => {
    for (const token of ['old', 'new']) {
      writeFileSync(headersFile, `Authorization: Bearer ${token}\n`)
      telemetry.configure(config('otlp-http'))
      await eventually(() => upOf('logs') === 1)
      write()
      await eventually(() => collector.requests.at(-1)?.headers['authorization'] === `Bearer ${token}`)
    }
  })

  it('keeps its connection at a reload that changes nothing of it', async () => {
    writeFileSync(headersFile, 'a: b\n')
    telemetry.configure(config('otlp-http'))
    await eventually(() => upOf('logs') === 1)
    collector.hangs = true
    write()
    await eventually(() => collector.requests.length === 1)
    telemetry.configure(config('otlp-http'))
    await eventually(() => upOf('logs') === 0, 5000)
  })

  it('says nothing of a collector that was taken out of the configuration', async () => {
    writeFileSync(headersFile, 'a: b\n')
    telemetry.configure(config('otlp-http', 'http://127.0.0.1:1'))
    await eventually(() => upOf('logs') === 1)
    write()
    await eventually(() => upOf('logs') === 0)
    telemetry.configure(config(undefined))
    await eventually(() => upOf('logs') === undefined)
  })

  for (const protocol of ['otlp-http', 'otlp-grpc'])
    it(`${protocol}: refuses a token that no protocol carries, without showing it`, async () => {
      writeFileSync(headersFile, 'Authorization: Bearer sécret\u0001пароль\n')
      telemetry.configure(config(protocol))
      await eventually(() => lines.length > 0)
      expect(lines[0]).to.match(/headers: authorization: the value holds more than printable ASCII; logs are dropped/)
      expect(lines.join('\n')).to.not.match(/s.cret|пароль/)
    })

  for (const protocol of ['otlp-http', 'otlp-grpc'])
    it(`${protocol}: goes on as before while the files of the section cannot be used`, async () => {
      const url = protocol === 'otlp-grpc' ? collector.grpcUrl : collector.url
      writeFileSync(headersFile, 'Authorization: old\n')
      telemetry.configure(config(protocol, url))
      await eventually(() => upOf('logs') === 1)
      writeFileSync(headersFile, 'Authorization: sécret\n')
      telemetry.configure(config(protocol, url))
      await eventually(() => lines.length > 0)
      expect(lines[0]).to.include(`printable ASCII; logs go on to ${url} as before`)
      write()
      await eventually(() => collector.requests.at(-1)?.headers['authorization'] === 'old', 5000)
      expect(upOf('logs')).to.equal(1)
      expect(telemetry.views()[0]).to.include({ isUp: true })
      expect(telemetry.views()[0]!.problem).to.match(/printable ASCII; the one before stays in use$/)
      writeFileSync(headersFile, 'Authorization: new\n')
      telemetry.configure(config(protocol, url))
      await eventually(() => telemetry.views()[0]!.problem === undefined)
      write()
      await eventually(() => collector.requests.at(-1)?.headers['authorization'] === 'new', 5000)
    })

  it('is down and counts what it drops while the first files that it is given cannot be used', async () => {
    writeFileSync(headersFile, 'Authorization: sécret\n')
    telemetry.configure(config('otlp-http'))
    await eventually(() => upOf('logs') === 0)
    write()
    await eventually(() => dropped('unusable') === 1)
    writeFileSync(headersFile, 'Authorization: good\n')
    telemetry.configure(config('otlp-http'))
    await eventually(() => upOf('logs') === 1)
    writeFileSync(headersFile, 'Authorization: sécret\n')
    telemetry.configure(config(undefined))
    await eventually(() => upOf('logs') === undefined)
    telemetry.configure(config('otlp-http'))
    await eventually(() => upOf('logs') === 0)
    telemetry.configure(config(undefined))
    await eventually(() => upOf('logs') === undefined)
  })

  it('a request that cannot be made is refused, and the next one goes on', async () => {
    const options = {
      url: new URL(collector.url),
      tls: {},
      timeoutMs: 1000,
      facts: { host: '', zone: '', version: '' },
    }
    const sender = httpSender({ ...options, protocol: 'zipkin', fields: {} })
    const broken = { service: 'shop', count: 1, bytes: Buffer.from([0x12, 0x7f]) }
    expect(await sender.send('traces', [broken])).to.include({ kind: 'refused' })
    expect(await sender.send('traces', [{ ...broken, bytes: Buffer.alloc(0) }])).to.include({ kind: 'taken' })
    sender.close()
  })
})
