import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentConfig } from '../../../../../agent/control/config/types.ts'
import type { Telemetry } from '../../../../../agent/control/telemetry/telemetry.ts'
import { listeningTelemetry } from '../../../../support/otlp/control-telemetry.ts'
import { StandInCollector } from '../../../../support/otlp/collector.ts'
import { frameOf, shortGroup } from '../../../../support/otlp/short-groups.ts'
import { Authority } from '../../../../support/tls/authority.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

/** A span without anything, as a worker frames it. */
const frame = frameOf('traces', shortGroup('shop', [Buffer.alloc(0)]))

describe('a collector behind TLS', () => {
  const authority = new Authority('collectors')
  const other = new Authority('somebody else')
  const served = authority.leaf(undefined, { dns: ['localhost'], ips: ['127.0.0.1'], uris: [] })
  const ours = authority.leaf(undefined, { dns: ['agent'], uris: [] })
  const strangers = other.leaf(undefined, { dns: ['agent'], uris: [] })
  let folder: string
  let collector: StandInCollector
  let telemetry: Telemetry
  let lines: string[]
  let worker: Socket

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-telemetry-'))
    lines = []
    collector = await StandInCollector.start(0, {
      cert: served.certificate,
      key: served.key,
      callersCa: authority.certificate,
    })
    telemetry = await listeningTelemetry(folder, lines)
    worker = connect(join(folder, 'telemetry.sock'))
  })
  afterEach(async () => {
    worker.destroy()
    await telemetry.close()
    await collector.close()
    rmSync(folder, { recursive: true })
  })

  function file(name: string, text: string): string {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }

  async function send(
    protocol: string,
    tls: Partial<Record<'ca' | 'cert' | 'key', string>>,
    host = 'localhost',
  ): Promise<void> {
    const named = protocol === 'otlp-grpc' ? collector.grpcUrl : collector.url
    const url = named.replace('localhost', host)
    const headersFile = file('headers', 'Authorization: Bearer t\n')
    telemetry.configure({
      host: { name: 'h1', zone: '' },
      tracing: { collector: { protocol, url, headersFile, timeout: 2000, ...tls } },
      accessLog: {},
    } as unknown as AgentConfig)
    await eventually(() => telemetry.views().length === 1)
    worker.write(frame)
  }

  const taken = (): number => collector.records.traces.length + collector.zipkin.length
  const problem = (): string => telemetry.views()[0]?.problem ?? ''

  for (const protocol of ['otlp-http', 'otlp-grpc', 'zipkin']) {
    it(`${protocol}: is given our certificate and our headers`, async () => {
      const [ca, cert, key] = [file('ca', authority.certificate), file('cert', ours.certificate), file('key', ours.key)]
      await send(protocol, { ca, cert, key })
      await eventually(() => taken() === 1, 5000)
      expect(collector.requests[0]!.headers).to.include({ authorization: 'Bearer t' })
      await eventually(() => telemetry.views()[0]!.isUp)
      expect(problem()).to.equal('')
    })

    it(`${protocol}: is known by its address, too`, async () => {
      const [ca, cert, key] = [file('ca', authority.certificate), file('cert', ours.certificate), file('key', ours.key)]
      await send(protocol, { ca, cert, key }, '127.0.0.1')
      await eventually(() => taken() === 1, 5000)
      expect(problem()).to.equal('')
    })

    it(`${protocol}: is told by name when it is not of our authority`, async () => {
      const [ca, cert, key] = [file('ca', other.certificate), file('cert', ours.certificate), file('key', ours.key)]
      await send(protocol, { ca, cert, key })
      await eventually(() => problem() !== '', 5000)
      expect(problem()).to.match(/its certificate is not from an authority of `ca`/)
      expect(telemetry.views()[0]).to.include({ isUp: false, signal: 'traces' })
      await eventually(() => lines.some((line) => line.includes('not from an authority of `ca`')))
      expect(taken()).to.equal(0)
    })

    it(`${protocol}: that does not take our certificate, or none, is told`, async () => {
      const ca = file('ca', authority.certificate)
      await send(protocol, { ca, cert: file('cert', strangers.certificate), key: file('key', strangers.key) })
      await eventually(() => problem() !== '', 5000)
      expect(telemetry.views()[0]!.isUp).to.equal(false)
      expect(taken()).to.equal(0)
    })
  }

  it('with files that do not belong together is refused by their names, without the key', async () => {
    const [ca, cert, key] = [file('ca', authority.certificate), file('cert', ours.certificate), file('key', served.key)]
    await send('otlp-http', { ca, cert, key })
    expect(problem()).to.equal(`E_CERTIFICATE_INVALID  ${key}: is not the key of ${cert}`)
    await send('otlp-http', { ca: file('ca', 'nothing') })
    await eventually(() => problem().endsWith(`${ca}: holds no certificate in PEM`))
    expect(lines.join()).to.not.include('PRIVATE')
  })
})
