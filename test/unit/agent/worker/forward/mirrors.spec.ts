import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

import { expect } from 'chai'

import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import type { MirrorSpec } from '../../../../../contracts/route-spec.ts'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { EndpointPool } from '../../../../../agent/worker/connect/endpoint-pool.ts'
import type { PooledConnection } from '../../../../../agent/worker/connect/pooled-connection.ts'
import type { Upstream } from '../../../../../agent/worker/connect/upstream.ts'
import type { CopiedRequest } from '../../../../../agent/worker/forward/mirror.ts'
import { maxMirrors, Mirrors } from '../../../../../agent/worker/forward/mirrors.ts'
import { RequestBody } from '../../../../../agent/worker/forward/request-body.ts'
import type { RequestChanges } from '../../../../../agent/worker/forward/request-edits.ts'
import type { ReplyMessage, UpstreamOwner } from '../../../../../agent/worker/forward/streams.ts'
import { compileMirrors } from '../../../../../agent/worker/route/mirror.ts'
import type { Route } from '../../../../../agent/worker/route/types.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import { TimerWheel } from '../../../../../agent/worker/transport/timer-wheel.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import type { ServicePlan } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const skipped = 'hostmesh_mirrors_skipped_total'
const content = Buffer.alloc(1_000_000, 'abcdefghijklm')

describe('a mirrored request', () => {
  let backend: RecordingBackend
  let shadow: RecordingBackend
  let started: StartedWorker
  let caller: RawCaller

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    shadow = await RecordingBackend.start()
  })

  afterEach(async () => {
    caller.close()
    started.stop()
    await backend.close()
    await shadow.close()
  })

  const at = (port: number) => ({ address: '127.0.0.1', port })
  const toShadow: MirrorSpec = { destination: { service: keyOf('shadow'), weight: 1 }, share: 1 }

  async function start(
    copy: Partial<ServicePlan> = {},
    mirrors: MirrorSpec[] = [toShadow],
    port = backend.port,
  ): Promise<void> {
    started = await startWorker({
      services: [
        { name: 'orders', endpoints: [at(port)], route: { mirrors } },
        { name: 'shadow', endpoints: [at(shadow.port)], ...copy },
      ],
    })
    caller = await RawCaller.open(started.port('orders'))
  }

  const head = (framing: string): string => `POST /a?b=1 HTTP/1.1\r\nHost: orders\r\nX-Thing: 1\r\n${framing}\r\n\r\n`
  const chunk = (data: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')])
  const copied = () => shadow.requests[0]

  it('has the content that comes after its head, of any length', async () => {
    await start()
    caller.send(head(`Content-Length: ${content.length}`))
    await eventually(() => backend.connections.length === 1)
    caller.send(content)
    await caller.expect('\r\n\r\nok')
    await eventually(() => shadow.requests.length === 1)
    expect([copied()!.method, copied()!.target, copied()!.body.length]).to.deep.equal([
      'POST',
      '/a?b=1',
      content.length,
    ])
    expect(copied()!.body === content.toString('latin1')).to.equal(true)
    expect(backend.requests[0]!.body === copied()!.body, 'the original').to.equal(true)
    expect(shadow.connections[0]!.bytes.toString('latin1', 0, 300)).to.include('Host: orders-shadow\r\n')
    expect(started.metric(skipped)).to.equal(0)
  })

  it('has content in chunks that come one by one, and its trailers', async () => {
    await start()
    caller.send(head('Transfer-Encoding: chunked'))
    for (let from = 0; from < content.length; from += 50_000) {
      caller.send(chunk(content.subarray(from, from + 50_000)))
      await eventually(() => backend.connections[0]?.bytes.includes(content.subarray(from, from + 1000)) === true)
    }
    caller.send('0\r\nX-Sum: 7\r\n\r\n')
    await caller.expect('\r\n\r\nok')
    await eventually(() => shadow.requests.length === 1)
    expect(copied()!.body === content.toString('latin1')).to.equal(true)
    expect(shadow.connections[0]!.bytes.toString('latin1').toLowerCase()).to.include('x-sum: 7\r\n')
  })

  it('leaves its connection to the next one, and has the head of the first as it was', async () => {
    await start()
    for (const path of ['/first', '/second']) {
      caller.send(`GET ${path} HTTP/1.1\r\nHost: orders\r\n\r\n`)
      await eventually(() => shadow.requests.at(-1)?.target === path)
      await eventually(() => started.metric('hostmesh_mirrors_in_flight') === 0)
    }
    expect(shadow.connections).to.have.length(1)
    expect(started.metric('hostmesh_mirrors_sent_total')).to.equal(2)
  })

  describe('whose endpoint does not read', () => {
    let deaf: Server
    /** Reads everything and answers when it has `large.length` bytes of content. */
    let greedy: Server
    let isRead = false
    const large = Buffer.alloc(24_000_000, 'x')
    const sockets: Socket[] = []

    beforeEach(async () => {
      deaf = createServer({ pauseOnConnect: true }, (socket) => void sockets.push(socket.on('error', () => {})))
      deaf.listen(0, '127.0.0.1')
      await once(deaf, 'listening')
      greedy = createServer((socket) => {
        let count = 0
        socket.on('error', () => {})
        socket.on('data', (piece: Buffer) => {
          count += piece.length
          if (count < large.length || isRead) return
          isRead = true
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        })
      })
      greedy.listen(0, '127.0.0.1')
      await once(greedy, 'listening')
    })

    afterEach(() => {
      for (const socket of sockets.splice(0)) socket.destroy()
      deaf.close()
      greedy.close()
    })

    it('does not slow the original, holds a bounded part, and is given up', async () => {
      const portOf = (server: Server): number => (server.address() as AddressInfo).port
      await start({ endpoints: [at(portOf(deaf))] }, [toShadow], portOf(greedy))
      caller.send(head(`Content-Length: ${large.length}`))
      caller.send(large)
      await caller.expect('\r\n\r\nok')
      expect(started.metric(skipped, 'too-slow')).to.equal(1)
      await eventually(() => started.metric('hostmesh_mirrors_in_flight') === 0)
      expect(started.metric(skipped)).to.equal(1)
    })
  })

  it('is given up when the original ends before it is whole', async () => {
    await start()
    caller.send(head('Content-Length: 100') + 'some')
    await eventually(() => shadow.connections[0]?.bytes.includes('some') === true)
    caller.close()
    await eventually(() => started.metric(skipped, 'incomplete') === 1)
    await eventually(() => shadow.connections[0]!.isEnded)
    expect(started.metric('hostmesh_mirrors_in_flight')).to.equal(0)
  })

  it('is none without an endpoint, past the limits, or to a destination that nobody knows', async () => {
    const { pool } = defaultTrafficPolicy
    const full: Partial<ServicePlan> = { policy: { pool: { ...pool, maxRequests: 1 } } }
    shadow.answer = () => undefined
    await start(full, [toShadow, { destination: { service: keyOf('nobody'), weight: 1 }, share: 1 }])
    for (let i = 1; i <= 2; i++) {
      caller.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
      await eventually(() => started.metric(skipped, 'unknown-destination') === i)
    }
    await eventually(() => started.metric(skipped, 'limits') === 1)
    expect(started.metric('hostmesh_mirrors_sent_total')).to.equal(1)
    expect(started.metric(skipped, 'no-endpoint')).to.equal(0)
    started.stop()
    caller.close()
    await start({ endpoints: [] })
    caller.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    await eventually(() => started.metric(skipped, 'no-endpoint') === 1)
  })

  it('is none beside as many as the worker may have in flight', async () => {
    shadow.answer = () => undefined
    const { pool } = defaultTrafficPolicy
    await start({ policy: { pool: { ...pool, maxRequests: 4096, maxConnections: 4096, maxPending: 4096 } } })
    for (let i = 0; i < maxMirrors + 3; i++) {
      caller.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    }
    await eventually(() => started.metric(skipped, 'in-flight') === 3)
    expect(started.metric('hostmesh_mirrors_in_flight')).to.equal(maxMirrors)
  })

  it('that fails is counted, and the caller does not see it', async () => {
    await start({ endpoints: [at(1)] })
    caller.send(head('Content-Length: 2') + 'hi')
    await caller.expect('\r\n\r\nok')
    await eventually(() => started.metric('hostmesh_mirrors_failed_total') === 1)
  })
})

describe('the reply of a mirrored request', () => {
  let now: number
  let mirrors: Mirrors
  let owners: UpstreamOwner[]
  let outcomes: Outcome[]
  let abandoned: number
  let unanswered: number
  let clock: Clock
  let wheel: TimerWheel

  beforeEach(() => {
    now = 1
    owners = []
    outcomes = []
    abandoned = 0
    unanswered = 0
    clock = new Clock(() => now)
    wheel = new TimerWheel(
      () => now,
      () => {},
    )
    const stream = { send() {}, content() {}, end() {}, flush: () => true, release() {}, abandon: () => abandoned++ }
    const connection = { open: (owner: UpstreamOwner) => (owners.push(owner), stream) } as unknown as PooledConnection
    const pool = { acquire: () => connection, forget: () => false } as unknown as EndpointPool
    const cluster = {
      admit: () => (unanswered++, null),
      pick: () => ({ kind: 'endpoint' }),
      answered: () => unanswered--,
      release: (_share: string, isAnswered: boolean) => isAnswered || unanswered--,
      beginAttempt() {},
      endAttempt: (_state: unknown, outcome: Outcome) => outcomes.push(outcome),
    }
    const upstream = { cluster, pools: { of: () => pool } } as unknown as Upstream
    const requestChanges = { forMirror: () => null } as unknown as RequestChanges
    mirrors = new Mirrors({ clock, wheel, random: () => 0, requestChanges, mesh: { upstream: () => upstream } })
  })

  const route = {
    mirrors: compileMirrors([{ destination: { service: keyOf('shadow'), weight: 1 }, share: 1 }]),
  } as unknown as Route

  function start(isWhole: boolean) {
    const request = {
      authority: 'orders',
      namedPort: 0,
      localPort: 80,
      copy: () => request,
    } as unknown as CopiedRequest['request']
    const body = new RequestBody()
    if (isWhole) body.end(null)
    return mirrors.start({ request, requestId: null, edits: null }, body, route)
  }

  const reply = { status: 200 } as ReplyMessage

  /** A piece of each reply every 10 s. */
  function pieces(seconds: number): void {
    for (const end = now + seconds * 1000; now < end;) {
      now += 10_000
      wheel.advance()
      clock.refresh()
      for (const owner of owners.slice(outcomes.length)) owner.onPause()
    }
  }

  it('that has no end leaves its place, and the endpoint is not blamed', () => {
    for (let i = 0; i < maxMirrors; i++) start(true)
    for (const owner of owners) owner.onReply(reply)
    expect(start(true), 'one more').to.equal(null)
    expect([mirrors.inFlight, mirrors.skipped.get('in-flight')]).to.deep.equal([maxMirrors, 1])
    pieces(50)
    expect(mirrors.inFlight).to.equal(maxMirrors)
    pieces(20)
    expect([mirrors.inFlight, mirrors.failed, mirrors.skipped.get('long-reply'), abandoned]).to.deep.equal([
      0,
      0,
      maxMirrors,
      maxMirrors,
    ])
    expect(new Set(outcomes)).to.deep.equal(new Set([Outcome.cancelled]))
    expect(unanswered).to.equal(0)
    start(true)
    expect([mirrors.inFlight, unanswered]).to.deep.equal([1, 1])
  })

  it('may come for as long as content does', () => {
    const run = start(false)!
    owners[0]!.onReply(reply)
    pieces(300)
    expect(mirrors.inFlight).to.equal(1)
    run.end(null)
    run.flush()
    pieces(50)
    expect(mirrors.inFlight).to.equal(1)
    pieces(20)
    expect(mirrors.skipped.get('long-reply')).to.equal(1)
  })

  it('that has not begun by then, or is silent, has failed', () => {
    start(true)
    pieces(70)
    start(true)
    owners[1]!.onReply(reply)
    now += 15_010
    wheel.advance()
    expect([mirrors.inFlight, mirrors.failed, mirrors.skipped.get('long-reply')]).to.deep.equal([0, 2, 0])
    expect(outcomes).to.deep.equal([Outcome.timeout, Outcome.timeout])
    expect(unanswered).to.equal(0)
  })
})
