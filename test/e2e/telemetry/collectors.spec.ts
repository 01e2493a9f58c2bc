import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { mkdtempSync, rmSync } from 'node:fs'
import { promisify } from 'node:util'
import { entryPoint } from '../../../cli/entry-point.ts'
import { freePort } from '../../support/free-port.ts'
import { call, sharedPort, until } from '../../support/mesh/mesh.ts'
import { tracedPair } from '../../support/mesh/traced-pair.ts'
import type { TracedPair } from '../../support/mesh/traced-pair.ts'
import { StandInCollector } from '../../support/otlp/collector.ts'

const run = promisify(execFile)

describe('traces and logs of two hosts', function () {
  this.timeout(90_000)
  let collector: StandInCollector
  let pair: TracedPair | undefined
  let folder: string

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-telemetry-'))
    collector = await StandInCollector.start()
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(pair?.mesh.report())
    await pair?.close()
    pair = undefined
    await collector.close()
    rmSync(folder, { recursive: true })
  })

  const metricOf = async (name: string): Promise<number> => {
    const reply = await pair!.alpha.admin.get('/stats/prometheus')
    return reply.text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  for (const protocol of ['otlp-http', 'otlp-grpc'] as const)
    it(`${protocol}: one trace from caller to application, with the lines of both logs`, async () => {
      const headersFile = join(folder, 'headers')
      writeFileSync(headersFile, 'Authorization: Bearer t\n', { mode: 0o600 })
      const url = protocol === 'otlp-http' ? collector.url : collector.grpcUrl
      const to = { protocol, url, headersFile }
      pair = await tracedPair({
        tracing: { sampledShare: 0, propagation: ['w3c', 'b3'], collector: to },
        accessLog: { collector: to },
      })
      expect(collector.records.traces).to.deep.equal([])
      const answer = await pair.ask({ 'x-envoy-force-trace': 'true' }, '/traced?secret=1')
      expect(answer.status).to.equal(200)
      await until(30_000, 'both spans', async () => collector.records.traces.length >= 2)
      const client = collector.records.traces.find(({ kind }) => kind === 3)!
      const server = collector.records.traces.find(({ kind }) => kind === 2)!
      expect(server).to.include({ traceId: client.traceId, parentId: client.spanId })
      expect(client.resource).to.include({ 'host.name': 'alpha', 'service.name': 'hostmesh' })
      expect(server.resource).to.include({ 'host.name': 'beta', 'service.name': 'orders' })
      expect(client.attributes).to.include({ 'url.path': '/traced', 'mesh.tier': 'agent' })
      await until(30_000, 'both lines', async () => linesOf('/traced?secret=1').length === 2)
      expect(linesOf('/traced?secret=1').map(({ traceId }) => traceId)).to.deep.equal([client.traceId, client.traceId])
      expect(collector.requests.every(({ headers }) => headers['authorization'] === 'Bearer t')).to.equal(true)
      const sent = (): Promise<number> => metricOf('hostmesh_telemetry_sent_total{signal="traces"}')
      await until(30_000, 'the one is counted', async () => (await sent()) > 0)
      expect(await sent()).to.equal(1)
    })

  it('the word of the caller decides, in W3C and in either form of B3, through both hosts; else the share', async () => {
    pair = await tracedPair({ tracing: { sampledShare: 0, collector: { url: collector.url } } })
    const parent = 'b7ad6b7169203331'
    const traceOf = (digit: string): string => digit.repeat(32)
    const asked: readonly (readonly [path: string, headers: Record<string, string>])[] = [
      ['/w3c', { traceparent: `00-${traceOf('a')}-${parent}-01` }],
      ['/w3c-no', { traceparent: `00-${traceOf('b')}-${parent}-00` }],
      ['/b3', { 'x-b3-traceid': traceOf('c'), 'x-b3-spanid': parent, 'x-b3-sampled': '1' }],
      ['/b3-no', { 'x-b3-traceid': traceOf('d'), 'x-b3-spanid': parent, 'x-b3-sampled': '0' }],
      ['/b3single', { b3: `${traceOf('e')}-${parent}-1` }],
      ['/b3single-no', { b3: `${traceOf('f')}-${parent}-0` }],
      ['/share', {}],
    ]
    for (const [path, headers] of asked) expect((await pair.ask(headers, path)).status).to.equal(200)
    await until(30_000, 'both spans of each', async () => collector.records.traces.length >= 6)
    const seen = (kind: number): string[] =>
      collector.records.traces
        .filter((span) => span.kind === kind)
        .map(({ attributes, traceId }) => `${String(attributes['url.path'])} ${traceId}`)
        .toSorted()
    const wanted = [`/b3 ${traceOf('c')}`, `/b3single ${traceOf('e')}`, `/w3c ${traceOf('a')}`]
    expect([seen(2), seen(3)]).to.deep.equal([wanted, wanted])
    const clients = collector.records.traces.filter(({ kind }) => kind === 3)
    expect(clients.map(({ parentId }) => parentId)).to.deep.equal([parent, parent, parent])
  })

  const linesOf = (path: string) => collector.records.logs.filter((record) => record.attributes['path'] === path)

  it('a hot restart loses no span of a request that was answered, and sends none twice', async () => {
    pair = await tracedPair({ tracing: { sampledShare: 1, collector: { url: collector.url } } })
    let isOver = false
    let answered = 0
    const callers = Array.from({ length: 4 }, async (_, caller) => {
      for (let round = 0; !isOver; round++) {
        const answer = await call(
          pair!.alpha.options.address,
          sharedPort,
          { 'x-mesh-service': 'orders' },
          `/r/${caller}/${round}`,
        )
        if (answer.status === 200) answered++
      }
    })
    expect(await pair.alpha.reload()).to.equal('done')
    await until(30_000, 'requests behind it', async () => answered > 50)
    isOver = true
    await Promise.all(callers)
    const paths = (): unknown[] =>
      collector.records.traces
        .filter(
          ({ attributes, resource }) =>
            resource['host.name'] === 'alpha' && String(attributes['url.path']).startsWith('/r/'),
        )
        .map(({ attributes }) => attributes['url.path'])
    await until(30_000, 'every span', async () => paths().length >= answered)
    expect(new Set(paths()).size).to.equal(paths().length)
    expect(paths().length).to.equal(answered)
  })

  it('a collector that is gone costs no request, and gets what waited when it is back', async () => {
    await collector.close()
    const port = await freePort()
    pair = await tracedPair({
      tracing: { sampledShare: 1, collector: { protocol: 'zipkin', url: `http://127.0.0.1:${port}` } },
    })
    for (let round = 0; round < 20; round++) expect((await pair.ask({}, `/z/${round}`)).status).to.equal(200)
    await until(30_000, 'it is known to be gone', async () => (await metricOf('hostmesh_telemetry_collector_up')) === 0)
    expect(await statusOf(pair)).to.match(new RegExp(`http://127.0.0.1:${port}\\s+traces\\s+connect ECONNREFUSED`))
    collector = await StandInCollector.start(port)
    await until(45_000, 'the spans of both hosts', async () => collector.zipkin.filter(isOurs).length === 40)
    expect(await metricOf('hostmesh_telemetry_dropped_total')).to.equal(0)
    const [span] = collector.zipkin.filter(isOurs)
    expect(span).to.include.keys('traceId', 'id', 'timestamp', 'duration', 'localEndpoint')
  })

  async function statusOf({ alpha }: TracedPair): Promise<string> {
    const { stdout } = await run(process.execPath, [entryPoint('cli/main'), 'status', '-c', alpha.configPath])
    return stdout
  }

  const isOurs = (span: Record<string, unknown>): boolean =>
    String((span['tags'] as Record<string, string>)['url.path']).startsWith('/z/')
})
