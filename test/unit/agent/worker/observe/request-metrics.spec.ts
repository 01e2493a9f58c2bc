import { expect } from 'chai'

import { byteBounds, durationBounds } from '../../../../../agent/worker/observe/histogram-bounds.ts'
import { RequestMetrics } from '../../../../../agent/worker/observe/request-metrics.ts'
import type { CountedExchange } from '../../../../../agent/worker/observe/request-metrics.ts'
import { SeriesTable } from '../../../../../agent/worker/observe/series-table.ts'
import { TcpMetrics } from '../../../../../agent/worker/observe/tcp-metrics.ts'
import type { Accepted } from '../../../../../agent/worker/listen/accepted.ts'
import type { ListenerContext } from '../../../../../agent/worker/listen/listener-context.ts'
import { noIdentity } from '../../../../../agent/worker/transport/transport.ts'
import { Tallies } from '../../../../../agent/worker/observe/tallies.ts'

const exchange = (changes: Partial<CountedExchange> = {}): CountedExchange => ({
  status: 200,
  flag: '-',
  startedAt: 990,
  replyBytes: 500,
  requestBytes: 100,
  source: { app: 'shop', namespace: 'public', labels: { version: 'v3' } },
  callerId: '',
  endpoint: null,
  reporter: 'source',
  service: 'public/DEFAULT_GROUP@@orders',
  speaks: null,
  call: { isOn: false, status: -1 },
  ...changes,
})

describe('histogram buckets', () => {
  for (const [name, bounds] of [
    ['durations', durationBounds],
    ['bytes', byteBounds],
  ] as const) {
    it(`of ${name} hold a value at its bound and not above it`, () => {
      bounds.bounds.forEach((bound, index) => {
        expect(bounds.bucketOf(bound)).to.equal(index)
        expect(bounds.bucketOf(bound + 0.001)).to.equal(index + 1)
        expect(bounds.bucketOf(bound - 0.001)).to.equal(index)
      })
      expect(bounds.bucketOf(0)).to.equal(0)
      expect(bounds.bucketOf(1e15)).to.equal(bounds.size - 1)
    })
  }
})

describe('request metrics', () => {
  const sum = (metrics: RequestMetrics, name: string, ...labels: string[]) =>
    metrics
      .series()
      .find((series) => series.name === name)!
      .samples.filter((sample) => labels.every((label) => sample.labels.includes(label)))
      .reduce((total, sample) => total + sample.value, 0)

  it('name a caller of another host by its certificate, and say that the connection was mutual TLS', () => {
    const metrics = new RequestMetrics(() => 1000)
    const endpoint = { endpoint: { version: '' }, pool: { scope: null } } as unknown as CountedExchange['endpoint']
    const inbound = { source: undefined, reporter: 'destination', endpoint } as const
    const [one, two] = ['spiffe://mesh.test/ns/public/sa/shop', 'spiffe://mesh.test/ns/public/sa/cart']
    for (const callerId of [one, two, one, '', two, one]) metrics.count(exchange({ ...inbound, callerId }))
    const [series] = metrics.series()
    const named = (name: string, at: number): string => series!.samples[at]!.labels[series!.labelNames.indexOf(name)]!
    const rows = series!.samples.map(({ value }, at) => [
      named('source_principal', at),
      named('source_workload', at),
      named('source_workload_namespace', at),
      named('connection_security_policy', at),
      value,
    ])
    expect(rows).to.have.deep.members([
      [one, 'shop', 'public', 'mutual_tls', 3],
      [two, 'cart', 'public', 'mutual_tls', 2],
      ['unknown', 'unknown', 'unknown', 'none', 1],
    ])
  })

  it('name the application that is called by the certificate of its endpoint', () => {
    const metrics = new RequestMetrics(() => 1000)
    const at = (serverId: string) =>
      ({ endpoint: { version: '' }, pool: null, serverId }) as unknown as CountedExchange['endpoint']
    for (const id of ['spiffe://mesh.test/ns/public/sa/orders', '', ''])
      metrics.count(exchange({ endpoint: at(id), reporter: 'source' }))
    expect(sum(metrics, 'istio_requests_total', 'spiffe://mesh.test/ns/public/sa/orders')).to.equal(1)
    expect(sum(metrics, 'istio_requests_total')).to.equal(3)
  })

  it('of an inbound port are about the service as its callers name it', () => {
    const metrics = new RequestMetrics(() => 1000)
    const service = '$inbound/public:DEFAULT_GROUP:fe80::1:8080@@orders'
    metrics.count(exchange({ source: undefined, reporter: 'destination', service }))
    const [series] = metrics.series()
    const labels = Object.fromEntries(
      series!.labelNames.map((name, index) => [name, series!.samples[0]!.labels[index]]),
    )
    expect(labels).to.include({
      destination_service: 'public/DEFAULT_GROUP@@orders',
      destination_service_name: 'orders',
      destination_service_namespace: 'public',
      destination_workload: 'orders',
      destination_workload_namespace: 'public',
    })
  })

  it('carry the standard labels of caller and destination', () => {
    const metrics = new RequestMetrics(() => 1000)
    metrics.count(exchange())
    const [series] = metrics.series()
    const labels = Object.fromEntries(
      series!.labelNames.map((name, index) => [name, series!.samples[0]!.labels[index]]),
    )
    expect(labels).to.include({
      reporter: 'source',
      source_app: 'shop',
      source_version: 'v3',
      destination_service: 'public/DEFAULT_GROUP@@orders',
      destination_service_name: 'orders',
      destination_service_namespace: 'public',
      request_protocol: 'http',
      response_code: '200',
      response_flags: '-',
    })
  })

  it('count by status, flag, caller and destination', () => {
    const metrics = new RequestMetrics(() => 1000)
    for (let i = 0; i < 3; i++) metrics.count(exchange())
    metrics.count(exchange({ status: 503, flag: 'UF' }))
    metrics.count(exchange({ source: undefined }))
    metrics.count(exchange({ service: 'public/DEFAULT_GROUP@@billing' }))
    expect(sum(metrics, 'istio_requests_total')).to.equal(6)
    expect(sum(metrics, 'istio_requests_total', '503', 'UF')).to.equal(1)
    expect(sum(metrics, 'istio_requests_total', 'shop', '200', 'orders')).to.equal(3)
    expect(sum(metrics, 'istio_request_duration_milliseconds')).to.equal(60)
    expect(sum(metrics, 'istio_response_bytes')).to.equal(3000)
  })

  it('go on in the next process where they were, whatever else its file holds', () => {
    const before = new RequestMetrics(() => 1000)
    before.count(exchange())
    const after = new RequestMetrics(() => 1000)
    after.table.importState(JSON.parse(JSON.stringify(before.table.exportState())))
    after.count(exchange())
    for (const junk of [null, 5, 'x', {}, [1, null, { labels: 5 }, { labels: ['a'], values: [1] }]])
      after.table.importState(junk)
    expect(sum(after, 'istio_requests_total')).to.equal(2)
  })
})

describe('a table of series', () => {
  it('counts combinations beyond its bound together, so that callers cannot fill the memory', () => {
    const table = new SeriesTable(2, 1, { maxRows: 4 })
    for (let i = 0; i < 10; i++) {
      const offset = table.offsetOf([`label-${i}`])
      table.values[offset]!++
    }
    const rows = [...table.entries()].map(({ labels, offset }) => [labels[0], table.values[offset]])
    expect(rows).to.deep.equal([
      ['other', 7],
      ['label-0', 1],
      ['label-1', 1],
      ['label-2', 1],
    ])
    expect(table.overflows).to.equal(7)
  })

  it('keeps the last labels of what finds no room, up to a bound', () => {
    const table = new SeriesTable(2, 3, { maxRows: 3, kept: 1 })
    for (let i = 0; i < 1000; i++) table.values[table.offsetOf([`a-${i}`, `b-${i}`, i % 3 === 0 ? '503' : '200'])]!++
    const rows = [...table.entries()].map(({ labels, offset }) => [...labels, table.values[offset]])
    expect(rows).to.deep.equal([
      ['a-0', 'b-0', '503', 1],
      ['a-1', 'b-1', '200', 1],
      ['other', 'other', '200', 665],
      ['other', 'other', '503', 333],
    ])
    for (let i = 0; i < 1000; i++) table.offsetOf([`c-${i}`, 'd', `code-${i}`])
    expect([...table.entries()]).to.have.length(3 + 64)
  })

  it('keeps its numbers when it grows', () => {
    const table = new SeriesTable(3, 1)
    for (let i = 0; i < 100; i++) {
      const offset = table.offsetOf([String(i)])
      table.values[offset + 1] = i
    }
    for (const { labels, offset } of table.entries()) expect(table.values[offset + 1]).to.equal(Number(labels[0]))
  })
})

describe('tallies', () => {
  it('add what a predecessor counted, and nothing that is no count', () => {
    const tallies = new Tallies()
    tallies.retries = 2
    for (const state of [{ retries: 3, unknown: 9, hedges: 'x' }, null, 7, { reset: 1 }]) tallies.importState(state)
    expect(tallies.retries).to.equal(5)
    expect(tallies.hedges).to.equal(0)
    tallies.reset()
    expect(tallies.retries).to.equal(0)
  })
})

describe('TCP metrics', () => {
  it('lose no connection when new combinations of labels come', () => {
    const metrics = new TcpMetrics(() => 1000)
    const listener = { reporter: 'source' } as ListenerContext
    const accepted: Accepted = {
      listener,
      proxy: null,
      source: undefined,
      identity: noIdentity,
      serverName: '',
      acceptedAt: 0,
      onEnd() {},
    }
    for (let i = 0; i < 100; i++) {
      const pair = { accepted, bytesUp: 1, bytesDown: 2, startedAt: 0, state: null, service: `public/G@@s${i}` }
      metrics.opened(pair)
      metrics.ended(pair, 'UF')
    }
    for (const [name, wanted] of [
      ['istio_tcp_connections_opened_total', 100],
      ['istio_tcp_connections_closed_total', 100],
      ['istio_tcp_received_bytes_total', 100],
      ['istio_tcp_sent_bytes_total', 200],
    ] as const) {
      const { samples } = metrics.series().find((series) => series.name === name)!
      expect(
        samples.reduce((total, sample) => total + sample.value, 0),
        name,
      ).to.equal(wanted)
    }
  })
})
