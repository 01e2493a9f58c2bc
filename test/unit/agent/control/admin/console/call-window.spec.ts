import { expect } from 'chai'
import {
  CallWindow,
  type CallCounters,
  type CallRow,
} from '../../../../../../agent/control/admin/console/call-window.ts'

const bounds = [10, 100]

const row = (requests: number, failures = 0, counts: readonly number[] = [requests, 0, 0]): CallRow => ({
  source: 'web',
  target: 'orders',
  tier: 'agent',
  requests,
  failures,
  counts,
})

const host = (name: string, rows: readonly CallRow[], identity: object = {}): CallCounters => ({
  host: name,
  identity,
  bounds,
  rows: () => rows,
})

describe('who called whom over the last minute', () => {
  it('is not told by one look, then as rates of what came since', () => {
    const window = new CallWindow()
    expect(window.look([host('a', [row(1000, 10)])], 0)).to.deep.include({ windowMs: 0 })
    const { edges, windowMs } = window.look([host('a', [row(1200, 30, [1000, 190, 10])])], 10_000)
    expect(windowMs).to.equal(10_000)
    expect(edges).to.deep.equal([
      {
        source: 'web',
        target: 'orders',
        tier: 'agent',
        requests: 1200,
        failures: 30,
        rate: 20,
        failureRate: 2,
        p99Ms: null,
      },
    ])
  })

  it('takes a row that leaves a report and comes back for no news', () => {
    const window = new CallWindow()
    const other = { ...row(10), source: 'job' }
    const rate = (rows: readonly CallRow[], now: number) =>
      window.look([host('a', rows)], now).edges.find(({ source }) => source === 'web')?.rate
    window.look([host('a', [row(1_000_000), other])], 0)
    window.look([host('a', [other])], 10_000)
    expect(rate([other], 20_000)).to.equal(0)
    expect(rate([row(1_000_030), other], 30_000)).to.equal(1)
  })

  it('has the p99 of the window, not of all time', () => {
    const window = new CallWindow()
    window.look([host('a', [row(1000, 0, [0, 0, 1000])])], 0)
    const { edges } = window.look([host('a', [row(1100, 0, [95, 5, 1000])])], 10_000)
    expect(edges[0]!.p99Ms).to.equal(100)
  })

  it('adds hosts up; one that restarts, leaves or comes later makes no jump', () => {
    const window = new CallWindow()
    window.look([host('a', [row(1000)]), host('b', [row(500)])], 0)
    const rate = (hosts: readonly CallCounters[], now: number): number | null => window.look(hosts, now).edges[0]!.rate
    expect(rate([host('a', [row(1010)]), host('b', [row(510)])], 10_000)).to.equal(2)
    // a began anew and counted 5; b is gone; c counted a million before it was first seen
    expect(rate([host('a', [row(5)]), host('c', [row(1_000_000)])], 20_000)).to.equal(25 / 20)
    expect(rate([host('a', [row(5)]), host('c', [row(1_000_010)])], 30_000)).to.equal(35 / 30)
  })

  it('takes the same report of a host once, and leaves out durations on another scale', () => {
    const window = new CallWindow()
    const identity = {}
    window.look([host('a', [row(10)], identity)], 0)
    window.look([host('a', [row(10)], identity)], 5000)
    expect(window.look([host('a', [row(10)], identity)], 10_000).edges[0]).to.include({ requests: 10, rate: 0 })
    const odd = { ...host('b', [row(5, 0, [0, 5])]), bounds: [7] }
    expect(window.look([host('a', [row(10)], identity), odd], 11_000).edges[0]).to.include({ requests: 15 })
  })

  it('forgets looks of more than 70 s ago', () => {
    const window = new CallWindow()
    window.look([host('a', [row(0)])], 0)
    expect(window.look([host('a', [row(7000)])], 100_000)).to.deep.include({ windowMs: 0 })
    expect(window.look([host('a', [row(7010)])], 110_000).edges[0]!.rate).to.equal(1)
  })

  it('holds 5,000 edges and says how many it left out', () => {
    const window = new CallWindow()
    const rows = Array.from({ length: 5003 }, (_none, at) => ({ ...row(1), source: `s${at}` }))
    const { edges, left } = window.look([host('a', rows)], 0)
    expect(edges).to.have.length(5000)
    expect(left).to.equal(3)
  })

  it('forgets at its bound what no host names any more, so that one host cannot fill it for good', () => {
    const window = new CallWindow()
    const named = (prefix: string, count: number): CallRow[] =>
      Array.from({ length: count }, (_none, at) => ({ ...row(100), source: `${prefix}${at}` }))
    for (let round = 0; round < 12; round++) window.look([host('a', named(`${round}-`, 500))], round * 5000)
    const first = window.look([host('a', named('x', 500)), host('b', [row(5)])], 60_000)
    expect(first.left).to.equal(0)
    const { edges } = window.look([host('a', named('0-', 500)), host('b', [row(15)])], 65_000)
    const others = edges.filter(({ source }) => source === 'web')
    expect(others).to.have.length(1)
    expect(others[0]!.rate).to.be.greaterThan(0)
    expect(edges.every(({ rate }) => rate! >= 0)).to.equal(true)
  })

  it('takes durations on the scale of most hosts, whoever is heard first', () => {
    const window = new CallWindow()
    const odd = { ...host('a', [row(1, 0, [1])]), bounds: [7] }
    const { edges } = window.look([odd, host('b', [row(9, 0, [0, 9, 0])]), host('c', [row(9, 0, [0, 9, 0])])], 0)
    expect(edges[0]!.p99Ms).to.equal(100)
  })
})
