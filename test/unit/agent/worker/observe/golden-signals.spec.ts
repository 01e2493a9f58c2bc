import { expect } from 'chai'
import { goldenSignals } from '../../../../../agent/worker/observe/golden-signals.ts'
import { RequestMetrics } from '../../../../../agent/worker/observe/request-metrics.ts'
import type { CountedExchange } from '../../../../../agent/worker/observe/request-metrics.ts'
import { TcpMetrics } from '../../../../../agent/worker/observe/tcp-metrics.ts'
import type { CountedPair } from '../../../../../agent/worker/observe/tcp-metrics.ts'

const exchange = (status: number, flag = '-', grpcStatus?: number, ms = 3): CountedExchange => ({
  status,
  flag,
  startedAt: 1000 - ms,
  replyBytes: 0,
  requestBytes: 0,
  source: undefined,
  callerId: '',
  endpoint: null,
  reporter: 'source',
  service: 'public/DEFAULT_GROUP@@orders',
  speaks: null,
  call: { isOn: grpcStatus !== undefined, status: grpcStatus ?? -1 },
})

const pair = {
  accepted: { listener: { reporter: 'source' }, source: undefined },
  bytesUp: 0,
  bytesDown: 0,
  startedAt: 0,
  state: null,
  service: 'public/DEFAULT_GROUP@@ledger',
} as unknown as CountedPair

describe('the golden signals of a worker', () => {
  it('count as failed what a server is to blame for, and leave out what a caller gave up', () => {
    const http = new RequestMetrics(() => 1000)
    for (const good of [exchange(200), exchange(404), exchange(200, '-', 0), exchange(200, '-', 5)]) http.count(good)
    for (const bad of [exchange(503, 'UF'), exchange(0, 'UC'), exchange(200, '-', 14)]) http.count(bad)
    http.count(exchange(0, 'DC'))
    const tcp = new TcpMetrics(() => 1000)
    tcp.opened(pair)
    for (const flag of ['-', 'UF', 'DC']) tcp.ended(pair, flag)
    const { requests, failed } = goldenSignals(http, tcp)
    expect({ requests, failed }).to.deep.equal({ requests: 9, failed: 4 })
  })

  it('are told by who calls what, in groups that add up to all', () => {
    const http = new RequestMetrics(() => 1000)
    const tcp = new TcpMetrics(() => 1000)
    http.count(exchange(200))
    http.count({ ...exchange(503, 'NR'), service: undefined })
    http.count({ ...exchange(200), source: { app: 'shop', namespace: 'public', labels: {} } })
    tcp.ended(pair, 'UF')
    const { groups = [] } = goldenSignals(http, tcp)
    const told = groups.map(([, { requests, failed, durations }]) => [requests, failed, durations.length])
    expect(told.toSorted((one, other) => String(one).localeCompare(String(other)))).to.deep.equal([
      [1, 0, 1],
      [1, 0, 1],
      [1, 1, 0],
      [1, 1, 1],
    ])
  })

  it('count failures too of what is too much to be told apart', () => {
    const http = new RequestMetrics(() => 1000)
    const tcp = new TcpMetrics(() => 1000)
    for (let i = 0; i < 5000; i++) {
      const service = `public/DEFAULT_GROUP@@s${i}`
      http.count({ ...exchange(i % 2 === 0 ? 503 : 200, i % 2 === 0 ? 'UF' : '-'), service })
      tcp.ended({ ...pair, service }, i % 2 === 0 ? 'UF' : '-')
    }
    const { requests, failed } = goldenSignals(http, tcp)
    expect({ requests, failed }).to.deep.equal({ requests: 10_000, failed: 5000 })
  })

  it('tell durations of requests by bucket, without empty ones', () => {
    const http = new RequestMetrics(() => 10_000_000)
    for (const ms of [3, 4, 40]) http.count({ ...exchange(200), startedAt: 10_000_000 - ms })
    http.count({ ...exchange(200), startedAt: 0 })
    expect(goldenSignals(http, new TcpMetrics(() => 0)).durations).to.deep.equal([
      [1, 5, 2],
      [25, 50, 1],
      [3_600_000, 3_600_000, 1],
    ])
  })
})
