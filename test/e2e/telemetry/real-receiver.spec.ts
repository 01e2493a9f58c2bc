/** What two hosts send, as the OpenTelemetry collector's own receivers read it. */
import { expect } from 'chai'
import { collectorReceivers, goTool } from '../../support/go-tool.ts'
import { until } from '../../support/mesh/mesh.ts'
import { tracedPair } from '../../support/mesh/traced-pair.ts'
import type { TracedPair } from '../../support/mesh/traced-pair.ts'
import { RealReceiver } from '../../support/otlp/real-receiver.ts'
import type { TakenRecord } from '../../support/otlp/real-receiver.ts'

describe('receivers of the OpenTelemetry collector', function () {
  this.timeout(600_000)
  let program: string
  let receiver: RealReceiver | undefined
  let pair: TracedPair | undefined

  before(async function () {
    const tool = await goTool(collectorReceivers)
    if ('missing' in tool) {
      console.log(tool.missing)
      this.skip()
    }
    program = tool.program
  })
  beforeEach(async () => {
    receiver = await RealReceiver.start(program)
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(pair?.mesh.report())
    await pair?.close()
    await receiver?.close()
  })

  for (const protocol of ['otlp-http', 'otlp-grpc'] as const)
    it(`take spans and log records of both hosts by ${protocol}`, async () => {
      const { grpcUrl, logs, traces, url } = receiver!
      const collector = { protocol, url: protocol === 'otlp-http' ? url : grpcUrl }
      pair = await tracedPair({ tracing: { sampledShare: 0, collector }, accessLog: { collector } })
      const answer = await pair.ask({ 'x-envoy-force-trace': 'true' }, '/seen?by=it')
      expect(answer.status).to.equal(200)
      await until(30_000, 'both spans', async () => traces.length >= 2)
      const client = traces.find(({ kind }) => kind === 3)!
      const server = traces.find(({ kind }) => kind === 2)!
      expect(client.traceId).to.match(/^[0-9a-f]{32}$/)
      expect(server).to.include({ traceId: client.traceId, parentSpanId: client.spanId })
      expect(client.resource).to.include({ 'host.name': 'alpha' })
      expect(server.resource).to.include({ 'host.name': 'beta', 'service.name': 'orders' })
      expect(client.attributes).to.include({ 'url.path': '/seen', 'http.request.method': 'GET' })
      const lines = (): string[] =>
        logs.filter(({ attributes }) => attributes['path'] === '/seen?by=it').map(({ traceId }) => traceId)
      await until(30_000, 'the lines of both', async () => lines().length === 2)
      expect(lines()).to.deep.equal([client.traceId, client.traceId])
    })

  it("take spans of both hosts in Zipkin's form, with ids, names, times, tags and errors", async () => {
    const { traces, zipkinUrl } = receiver!
    pair = await tracedPair({ tracing: { sampledShare: 0, collector: { protocol: 'zipkin', url: zipkinUrl } } })
    const startedAt = Date.now()
    const answer = await pair.ask({ 'x-envoy-force-trace': 'true' }, '/seen?by=it')
    expect(answer.status).to.equal(200)
    const lost = await pair.ask({ 'x-envoy-force-trace': 'true', 'x-mesh-service': 'nobody' }, '/lost')
    expect(lost.status).to.equal(503)
    await until(30_000, 'all three spans', async () => traces.length >= 3)
    const endedAt = Date.now()
    const at = (path: string, kind: number): TakenRecord =>
      traces.find((span) => span.kind === kind && span.attributes['url.path'] === path)!
    const client = at('/seen', 3)
    const server = at('/seen', 2)
    const failed = at('/lost', 3)
    expect(client.traceId).to.match(/^[0-9a-f]{32}$/)
    expect(server).to.include({ traceId: client.traceId, parentSpanId: client.spanId, name: 'GET orders' })
    expect(failed.traceId).to.not.equal(client.traceId)
    expect(client.attributes).to.include({ 'http.request.method': 'GET' })
    // a tag that the receiver knows as one of the resource
    expect(client.resource).to.include({ 'host.name': 'alpha' })
    expect(server.resource).to.include({ 'host.name': 'beta', 'service.name': 'orders' })
    expect([client, server, failed].map(({ status }) => status?.code ?? 0)).to.deep.equal([0, 0, 2])
    for (const { endTimeUnixNano, startTimeUnixNano } of traces) {
      const [start, end] = [startTimeUnixNano, endTimeUnixNano].map((time) => Number(time) / 1e6)
      expect(start).to.be.within(startedAt - 50, endedAt)
      expect(end).to.be.within(start!, endedAt + 50)
    }
  })
})
