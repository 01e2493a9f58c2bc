import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect } from 'chai'

import { parseProxyHeader } from '../../../../../contracts/proxy-protocol.ts'
import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import { largestPortion } from '../../../../../agent/worker/transport/bulk-flow.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { eventually, still } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'
import { snapshotOf } from '../../../../support/worker/snapshots.ts'
import type { ServicePlan } from '../../../../support/worker/snapshots.ts'
import { watchMoves } from '../../../../support/worker/watch-moves.ts'

interface Peer {
  readonly socket: Socket
  bytes: Buffer
  hasEnded: boolean
  hasClosed: boolean
}

describe('a TCP connection', () => {
  let server: Server
  let peers: Peer[]
  let isEchoing: boolean
  let started: StartedWorker | undefined
  const callers: RawCaller[] = []

  beforeEach(async () => {
    peers = []
    isEchoing = false
    server = createServer({ allowHalfOpen: true }, (socket) => {
      const peer: Peer = { socket, bytes: Buffer.alloc(0), hasEnded: false, hasClosed: false }
      peers.push(peer)
      socket.on('data', (bytes: Buffer) => {
        peer.bytes = Buffer.concat([peer.bytes, bytes])
        if (isEchoing) socket.write(bytes)
      })
      socket.on('end', () => {
        peer.hasEnded = true
        if (isEchoing) socket.end()
      })
      socket.on('error', () => {})
      socket.on('close', () => (peer.hasClosed = true))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })

  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close()
    started?.stop()
    started = undefined
    for (const peer of peers) peer.socket.destroy()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  })

  async function relay(plan: Partial<ServicePlan> = {}): Promise<RawCaller> {
    const { port } = server.address() as AddressInfo
    const ledger: ServicePlan = {
      name: 'ledger',
      protocol: 'tcp',
      endpoints: [{ address: '127.0.0.1', port }],
      ...plan,
    }
    started ??= await startWorker({ services: [ledger] })
    const caller = await RawCaller.open(started.port('ledger'))
    callers.push(caller)
    return caller
  }

  it('beyond a limit of its route is reset before an endpoint is dialled, and the others are served', async () => {
    const origin = { kind: 'MeshPolicy', name: 'public/ledger', path: 'spec.rateLimits[0]' }
    const rate = { maxTokens: 2, tokensPerFill: 1, fillIntervalMs: 86_400_000 }
    const limit = { kind: 'rate-limit', name: 'two', ...rate, per: 'route', status: 429, origin } as const
    isEchoing = true
    const tcpRoute = { filters: [limit] }
    for (const text of ['one', 'two']) {
      const caller = await relay({ tcpRoute })
      caller.send(text)
      await caller.expect(new RegExp(`^${text}$`))
    }
    await relay({ tcpRoute }).then(
      (third) => eventually(() => third.isClosed),
      (reset: NodeJS.ErrnoException) => expect(reset.code).to.equal('ECONNRESET'),
    )
    expect(peers, 'nobody was dialled for the third').to.have.length(2)
    expect(started!.metric('hostmesh_filter_total', 'rate-limit', 'answer')).to.equal(1)
    expect(started!.metric('istio_tcp_connections_closed_total', 'RL')).to.equal(1)
  })

  it('makes no loop of an endpoint that is the listener itself', async () => {
    const { port } = server.address() as AddressInfo
    const plan = (at: number): ServicePlan => ({
      name: 'ledger',
      protocol: 'tcp',
      endpoints: [{ address: '127.0.0.1', port: at }],
    })
    started = await startWorker({ services: [plan(port)] })
    const own = started.port('ledger')
    const { services } = snapshotOf({ services: [plan(own)], listen: { ledger: { address: '127.0.0.1', port: 0 } } })
    await started.change({ services })
    const before = started.metric('hostmesh_connections_accepted_total') ?? 0
    const caller = await RawCaller.open(own)
    callers.push(caller)
    await caller.until(() => caller.isClosed)
    expect(started.metric('hostmesh_loop_dials_total')).to.equal(1)
    expect(started.metric('hostmesh_connections_accepted_total')! - before).to.equal(1)
  })

  it('passes bytes both ways', async () => {
    const caller = await relay()
    caller.send('ping')
    await eventually(() => peers[0]?.bytes.toString() === 'ping')
    peers[0]!.socket.write('pong')
    await caller.expect('pong')
  })

  it('passes bytes that the server says first', async () => {
    const caller = await relay()
    await eventually(() => peers.length === 1)
    peers[0]!.socket.write('220 ready')
    await caller.expect('220 ready')
  })

  it('passes the FIN of the caller and still delivers what the server says after it', async () => {
    const caller = await relay()
    caller.socket.end('last words')
    await eventually(() => peers[0]?.hasEnded === true)
    expect(peers[0]!.bytes.toString()).to.equal('last words')
    expect(caller.isOver).to.equal(false)
    peers[0]!.socket.end('answer')
    await caller.closed()
    expect(caller.text).to.equal('answer')
  })

  it('passes the FIN of the server and still delivers what the caller says after it', async () => {
    const caller = await relay()
    await eventually(() => peers.length === 1)
    peers[0]!.socket.end('bye')
    await caller.until(() => caller.isEnded)
    caller.socket.end('after all')
    await eventually(() => peers[0]!.hasEnded)
    expect(peers[0]!.bytes.toString()).to.equal('after all')
  })

  it('passes a reset on as a reset', async () => {
    const caller = await relay()
    caller.send('x')
    await eventually(() => peers[0]?.bytes.length === 1)
    peers[0]!.socket.resetAndDestroy()
    await caller.until(() => caller.wasReset)
    expect(caller.wasReset).to.equal(true)
  })

  it('carries 64 MB past a reader that stops, byte for byte, holding only a bounded part', async () => {
    const caller = await relay()
    // more than the buffers of the kernel take on the way: what is left shows whether we stop reading
    const block = Buffer.alloc(64_000_000, 'abcdefghijklm')
    await eventually(() => peers.length === 1)
    caller.socket.pause()
    const { socket } = peers[0]!
    socket.end(block)
    await eventually(() => started!.metric('hostmesh_bulk_held_bytes') > 0)
    await still(() => socket.bytesWritten - socket.writableLength)
    await still(() => started!.metric('hostmesh_bulk_held_bytes'))
    expect(socket.writableLength, 'what the server could not send').to.be.above(0)
    expect(started!.metric('hostmesh_bulk_held_bytes')).to.be.at.most(2 * largestPortion)
    caller.socket.resume()
    caller.socket.end()
    await caller.until(() => caller.isEnded)
    expect(caller.bytes.equals(block)).to.equal(true)
    expect(started!.metric('hostmesh_bulk_held_bytes')).to.equal(0)
  })

  it('moves bulk inside the kernel, and what is small after it as before, all of it counted', async () => {
    const caller = await relay()
    const moved = watchMoves(started!)
    await eventually(() => peers.length === 1)
    const block = Buffer.alloc(6_000_000, 'abcdefghijklm')
    caller.send(block)
    await eventually(() => peers[0]!.bytes.length === block.length)
    expect(peers[0]!.bytes.equals(block)).to.equal(true)
    expect(moved.bytes, 'bytes moved').to.be.above(1_000_000)
    caller.send('small')
    await eventually(() => peers[0]!.bytes.length === block.length + 5)
    const movedSoFar = moved.bytes
    caller.send('again')
    await eventually(() => peers[0]!.bytes.subarray(-10).toString() === 'smallagain')
    expect(moved.bytes, 'bytes moved after bulk').to.equal(movedSoFar)
    caller.socket.end()
    await eventually(() => peers[0]!.hasEnded)
    peers[0]!.socket.end()
    await caller.closed()
    await eventually(() => started!.metric('istio_tcp_received_bytes_total') === block.length + 10)
  })

  it('carries bulk by reading and writing where the kernel does not move it', async () => {
    isEchoing = true
    const caller = await relay()
    started!.worker.bulk.close()
    const block = Buffer.alloc(4_000_000, 'abcdefghijklm')
    caller.socket.end(block)
    await caller.until(() => caller.isEnded)
    expect(caller.bytes.equals(block)).to.equal(true)
  })

  it('passes a reset in the middle of bulk on as a reset', async () => {
    const caller = await relay()
    const moved = watchMoves(started!)
    await eventually(() => peers.length === 1)
    const feed = setInterval(() => peers[0]!.socket.write(Buffer.alloc(1_000_000)), 1)
    try {
      await eventually(() => moved.bytes > 1_000_000)
      peers[0]!.socket.resetAndDestroy()
      await caller.until(() => caller.isOver)
      expect(caller.wasReset).to.equal(true)
    } finally {
      clearInterval(feed)
    }
  })

  it('resets the server when the caller resets in the middle of bulk to it', async () => {
    const caller = await relay()
    const moved = watchMoves(started!)
    await eventually(() => peers.length === 1)
    peers[0]!.socket.pause()
    caller.send(Buffer.alloc(20_000_000))
    await eventually(() => started!.metric('hostmesh_bulk_held_bytes') > 0)
    expect(moved.bytes).to.be.above(0)
    caller.socket.resetAndDestroy()
    peers[0]!.socket.resume()
    await eventually(() => peers[0]!.hasClosed)
    expect(peers[0]!.hasEnded).to.equal(false)
    expect(started!.metric('hostmesh_bulk_held_bytes')).to.equal(0)
  })

  it('tries other endpoints when the first ones refuse', async () => {
    const { port } = server.address() as AddressInfo
    const address = '127.0.0.1'
    const caller = await relay({
      endpoints: [
        { address, port: 1 },
        { address: '127.0.0.2', port: 1 },
        { address, port },
      ],
      policy: { loadBalancer: { kind: 'round-robin' } },
    })
    caller.send('hello')
    await eventually(() => peers[0]?.bytes.toString() === 'hello')
  })

  it('resets the caller when no endpoint takes the connection, and counts it', async () => {
    const caller = await relay({ endpoints: [{ address: '127.0.0.1', port: 1 }] })
    await caller.until(() => caller.isClosed)
    expect(caller.wasReset).to.equal(true)
    expect(started!.metric('istio_tcp_connections_closed_total', 'UF')).to.equal(1)
    expect(started!.metric('hostmesh_cluster_active_requests')).to.equal(0)
    expect(started!.metric('hostmesh_cluster_connections')).to.equal(0)
  })

  it('ends a connection on which nothing passes for its idle time', async () => {
    const caller = await relay({ policy: { pool: { ...defaultTrafficPolicy.pool, tcpIdleTimeoutMs: 40 } } })
    await caller.closed()
    expect(started!.metric('hostmesh_tcp_idle_timeouts_total')).to.equal(1)
  })

  it('counts connections, bytes and durations', async () => {
    const caller = await relay()
    caller.socket.end('12345')
    await eventually(() => peers[0]?.hasEnded === true)
    peers[0]!.socket.end('123')
    await caller.closed()
    await eventually(() => started!.metric('istio_tcp_connections_closed_total') === 1)
    expect(started!.metric('istio_tcp_connections_opened_total')).to.equal(1)
    expect(started!.metric('istio_tcp_received_bytes_total')).to.equal(5)
    expect(started!.metric('istio_tcp_sent_bytes_total')).to.equal(3)
    expect(started!.metric('hostmesh_cluster_active_requests')).to.equal(0)
    expect(started!.metric('hostmesh_cluster_connections')).to.equal(0)
  })

  it('is a line of the access log when it ends', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hostmesh-tcp-log-'))
    const path = join(folder, 'access.log')
    try {
      const { port } = server.address() as AddressInfo
      const endpoints = [{ address: '127.0.0.1', port }]
      started = await startWorker({
        services: [{ name: 'ledger', protocol: 'tcp', endpoints }],
        mesh: { accessLog: { format: 'json', path, share: 1 } },
      })
      const caller = await relay()
      caller.socket.end('12345')
      await eventually(() => peers[0]?.hasEnded === true)
      peers[0]!.socket.end('123')
      await caller.closed()
      await eventually(() => existsSync(path) && readFileSync(path, 'utf8').endsWith('\n'))
      expect(JSON.parse(readFileSync(path, 'utf8'))).to.include({
        protocol: 'TCP',
        bytes_received: 5,
        bytes_sent: 3,
        response_flags: '-',
        downstream_remote_address: '127.0.0.1',
        upstream_host: `127.0.0.1:${port}`,
        listener: 'service:ledger',
      })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  for (const version of ['v1', 'v2'] as const) {
    it(`tells the server who calls by PROXY protocol ${version}`, async () => {
      const caller = await relay({ policy: { proxyProtocol: version } })
      caller.send('hello')
      await eventually(() => peers[0]?.bytes.toString('latin1').endsWith('hello') === true)
      const parsed = parseProxyHeader(peers[0]!.bytes)
      if (parsed.kind !== 'header') throw new Error(JSON.stringify(parsed))
      expect(parsed.header.source).to.deep.equal({ address: '127.0.0.1', port: caller.socket.localPort })
      expect(parsed.header.destination?.port).to.equal(started!.port('ledger'))
      expect(peers[0]!.bytes.subarray(parsed.length).toString()).to.equal('hello')
    })
  }
})
