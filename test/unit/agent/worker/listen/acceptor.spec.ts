import { expect } from 'chai'

import type { Accepted } from '../../../../../agent/worker/listen/accepted.ts'
import { Acceptor } from '../../../../../agent/worker/listen/acceptor.ts'
import { CallerShares } from '../../../../../agent/worker/listen/caller-shares.ts'
import type { Arriving, IntakeStep, NextStep } from '../../../../../agent/worker/listen/arriving.ts'
import { listenerContext } from '../../../../../agent/worker/listen/listener-context.ts'
import type { Protocol, ProtocolTable } from '../../../../../agent/worker/listen/protocol-table.ts'
import { Tallies } from '../../../../../agent/worker/observe/tallies.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import type { Transport } from '../../../../../agent/worker/transport/transport.ts'
import type { ServiceKey } from '../../../../../contracts/endpoint.ts'
import { defaultLimits } from '../../../../../contracts/snapshot.ts'
import type { ListenerSpec } from '../../../../../contracts/snapshot.ts'

const shared: ListenerSpec = { name: 'shared', address: '::1', port: 1, proxyProtocol: 'off', kind: 'shared-http' }
const ledger = 'public/DEFAULT_GROUP@@ledger' as ServiceKey
const tcp: ListenerSpec = {
  ...shared,
  name: 'ledger',
  kind: 'service',
  protocol: 'tcp',
  service: ledger,
  virtualHost: ledger,
}

describe('the entry of a connection', () => {
  let begun: { protocol: string; accepted: Accepted; transport: Transport; received: Buffer | null }[]
  let closed: number
  let tallies: Tallies
  let resting: number
  let isShort: boolean
  let restingOf: string
  let asked: number
  let now: number
  let lines: string[]
  const count = { connections: 0 }

  const protocol = (name: string): Protocol => ({
    sockets: 1,
    begin: (accepted, transport, received) => begun.push({ protocol: name, accepted, transport, received }),
    adopt: () => expect.fail('nothing is adopted here'),
  })
  const protocols: ProtocolTable = {
    http1: protocol('http1'),
    http2: protocol('http2'),
    rpc: protocol('rpc'),
    tcp: protocol('tcp'),
    websocket: protocol('websocket'),
  }
  const socket = (address = '::1') => ({ close: () => closed++, peer: () => ({ address }) }) as unknown as Transport

  beforeEach(() => {
    begun = []
    closed = 0
    resting = 0
    restingOf = '::1'
    asked = 0
    now = 0
    lines = []
    isShort = false
    count.connections = 0
    tallies = new Tallies()
  })

  function acceptor(steps: readonly IntakeStep[], maxConnections = 10): Acceptor {
    const limits = () => ({ ...defaultLimits, maxConnections })
    const makeRoom = (of?: string) => (of === undefined || of === restingOf) && resting-- > 0
    const isShortOfMemory = () => isShort
    const shares = new CallerShares({ log: (_, line) => lines.push(line), now: () => now })
    const callerOf = (transport: Transport) => (asked++, transport.peer().address)
    const deps = { clock: new Clock(() => 5), tallies, limits, isShortOfMemory, makeRoom, steps, protocols }
    return new Acceptor({ ...deps, shares, callerOf })
  }

  const accept = (to: Acceptor, spec: ListenerSpec, transport = socket()) =>
    to.accept(transport, spec, listenerContext(spec, spec.port), count)

  it('runs the steps in order, and the protocol of the listener gets what they found', () => {
    const order: string[] = []
    const reads: IntakeStep = {
      begin(arriving, next) {
        order.push('reads')
        arriving.received = Buffer.from('rest')
        next(arriving)
      },
    }
    const names: IntakeStep = {
      begin(arriving, next) {
        order.push(`names after ${arriving.received!.toString()}`)
        arriving.source = { app: 'shop', namespace: 'public', labels: {} }
        next(arriving)
      },
    }
    accept(acceptor([reads, names]), tcp)
    expect(order).to.deep.equal(['reads', 'names after rest'])
    const [{ accepted, protocol: name, received }] = begun as [(typeof begun)[number]]
    expect([name, received?.toString(), accepted.source?.app, accepted.acceptedAt]).to.deep.equal([
      'tcp',
      'rest',
      'shop',
      5,
    ])
  })

  it('begins HTTP/1.1 on a listener for http, on the transport that a step put in front of the socket', () => {
    const inner = socket()
    accept(
      acceptor([
        {
          begin(arriving, next) {
            arriving.transport = inner
            next(arriving)
          },
        },
      ]),
      shared,
    )
    expect(begun.map((one) => [one.protocol, one.transport === inner])).to.deep.equal([['http1', true]])
  })

  it('counts a connection while a step waits, and goes on when the step does', () => {
    let waiting: [Arriving, NextStep] | undefined
    const waits: IntakeStep = { begin: (arriving, next) => void (waiting = [arriving, next]) }
    const entry = acceptor([waits])
    accept(entry, shared)
    expect([entry.connections, count.connections, begun.length]).to.deep.equal([1, 1, 0])
    waiting![1](waiting![0])
    expect(begun).to.have.length(1)
    begun[0]!.accepted.onEnd()
    begun[0]!.accepted.onEnd()
    expect([entry.connections, count.connections]).to.deep.equal([0, 0])
  })

  it('leaves what a step ended to nobody', () => {
    const entry = acceptor([{ begin: (arriving) => arriving.end() }, { begin: () => expect.fail('it had ended') }])
    accept(entry, shared)
    expect([entry.connections, closed, begun.length]).to.deep.equal([0, 1, 0])
  })

  it('closes and counts what comes beyond the bound, before any step', () => {
    const entry = acceptor([], 1)
    accept(entry, shared)
    accept(entry, shared)
    expect([begun.length, closed, tallies.shedConnections, entry.connections]).to.deep.equal([1, 1, 1, 1])
  })

  it('takes one beyond the bound where another one has given its place', () => {
    const entry = acceptor([], 1)
    accept(entry, shared)
    resting = 1
    accept(entry, shared)
    accept(entry, shared)
    expect([begun.length, tallies.yieldedConnections, tallies.shedConnections]).to.deep.equal([2, 1, 1])
  })

  it('asks who calls only once half of the places are taken, and gives one caller a quarter of them then', () => {
    const entry = acceptor([], 40)
    for (let n = 0; n < 20; n++) accept(entry, shared, socket('a'))
    expect([asked, entry.connections]).to.deep.equal([0, 20])
    for (let n = 0; n < 30; n++) accept(entry, shared, socket('a'))
    expect([entry.connections, closed, tallies.overShareConnections]).to.deep.equal([30, 20, 20])
    for (let n = 0; n < 10; n++) accept(entry, shared, socket('b'))
    expect([entry.connections, closed]).to.deep.equal([40, 20])
    expect(lines).to.have.length(1)
    expect(lines[0]).to.match(/^a has its share of the 40 connections .* \(30 are open\)/)
  })

  it("takes one of a caller at its share in the place of one of its own that rests, and of nobody else's", () => {
    const entry = acceptor([], 8)
    for (let n = 0; n < 6; n++) accept(entry, shared, socket('a'))
    resting = 1
    restingOf = 'b'
    accept(entry, shared, socket('a'))
    expect([closed, tallies.yieldedConnections, tallies.overShareConnections]).to.deep.equal([1, 0, 1])
    restingOf = 'a'
    accept(entry, shared, socket('a'))
    expect([closed, tallies.yieldedConnections, tallies.overShareConnections]).to.deep.equal([1, 1, 1])
  })

  it('gives the share back with the connection', () => {
    const entry = acceptor([], 8)
    for (let n = 0; n < 6; n++) accept(entry, shared, socket('a'))
    begun.at(-1)!.accepted.onEnd()
    accept(entry, shared, socket('a'))
    expect([entry.connections, closed]).to.deep.equal([6, 0])
    accept(entry, shared, socket('a'))
    expect([entry.connections, closed]).to.deep.equal([6, 1])
  })

  it("takes nobody's place for one that it closes because memory is short", () => {
    const entry = acceptor([], 1)
    accept(entry, shared)
    resting = 1
    isShort = true
    accept(entry, shared)
    expect([begun.length, closed, resting]).to.deep.equal([1, 1, 1])
    expect([tallies.yieldedConnections, tallies.shedConnections, tallies.memorySheds]).to.deep.equal([0, 0, 1])
  })
})
