import { expect } from 'chai'

import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import type { ServicePlan, SnapshotPlan } from '../../../../support/worker/snapshots.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'
import { concurrency } from '../../../../support/balance.ts'
import { UdpSocket } from '../../../../support/udp/udp-socket.ts'

const at = ({ port }: { readonly port: number }) => ({ address: '127.0.0.1', port })

describe('UDP sessions', () => {
  const open: { close(): void }[] = []
  let worker: StartedWorker

  const echo = async (name: string, port = 0): Promise<UdpSocket> => kept(await UdpSocket.echo(name, port))
  const caller = async (): Promise<UdpSocket> => kept(await UdpSocket.open())
  const kept = <T extends { close(): void }>(one: T): T => {
    open.push(one)
    return one
  }
  const start = async (
    endpoints: ServicePlan['endpoints'],
    limits: SnapshotPlan['limits'] = {},
    service: Partial<ServicePlan> = {},
  ): Promise<number> => {
    worker = await startWorker({ limits, services: [{ name: 'clock', protocol: 'udp', endpoints, ...service }] })
    return worker.port('clock')
  }

  afterEach(() => {
    worker.stop()
    for (const one of open.splice(0)) one.close()
  })

  it('keep a caller at one endpoint, and share callers out', async () => {
    const servers = await Promise.all(['a', 'b'].map((name) => echo(name)))
    const port = await start(servers.map(at))
    const counts = new Map<string, number>()
    for (let index = 0; index < 20; index++) {
      const one = await caller()
      const said = await one.ask(port, 'x')
      expect(await one.ask(port, 'x')).to.equal(said)
      counts.set(said, (counts.get(said) ?? 0) + 1)
    }
    expect([...counts.keys()].toSorted()).to.deep.equal(['a|x', 'b|x'])
  })

  it('end after the idle time, and begin anew with the next datagram', async () => {
    const server = await echo('a')
    const port = await start([at(server)], { udpIdleTimeoutMs: 100 })
    const one = await caller()
    await one.ask(port, 'x')
    await eventually(() => worker.metric('hostmesh_udp_sessions') === 0)
    expect(worker.metric('hostmesh_udp_session_events_total', 'idle')).to.equal(1)
    await one.ask(port, 'y')
    expect(new Set(server.got.map((got) => got.port)).size).to.equal(2)
  })

  it('go to another endpoint when theirs is withdrawn', async () => {
    const servers = await Promise.all(['a', 'b'].map((name) => echo(name)))
    const port = await start(servers.map(at))
    const one = await caller()
    const first = await one.ask(port, 'x')
    const left = first === 'a|x' ? 1 : 0
    const key = keyOf('clock')
    const { endpoints } = worker.worker.state.service(key)!.endpoints
    const set = worker.worker.state.service(key)!.endpoints
    await worker.change({ endpoints: { [key]: { ...set, version: 2, endpoints: [endpoints[left]!] } } })
    expect(await one.ask(port, 'x')).to.equal(left === 1 ? 'b|x' : 'a|x')
    expect(worker.metric('hostmesh_udp_sessions')).to.equal(1)
    expect(worker.metric('hostmesh_udp_session_events_total', 'rebound')).to.equal(1)
  })

  it('leave an endpoint where nobody is for one that is there', async () => {
    const [gone, there] = [await UdpSocket.open(), await echo('b')]
    gone.close()
    const port = await start([at(gone), at(there)])
    for (let index = 0; index < 4; index++) {
      const one = await caller()
      const before = one.got.length
      await eventually(() => {
        one.send(port, 'x')
        return one.got.length > before
      })
      expect(one.got.at(-1)!.text).to.equal('b|x')
    }
    expect(worker.metric('hostmesh_udp_session_events_total', 'refused')).to.be.above(0)
  })

  it('reach an endpoint that comes back at its port', async () => {
    const server = await echo('a')
    const port = await start([at(server)])
    const one = await caller()
    await one.ask(port, 'x')
    server.close()
    await eventually(() => {
      one.send(port, 'x')
      return worker.metric('hostmesh_udp_session_events_total', 'refused') > 0
    })
    await echo('c', server.port)
    await eventually(() => {
      one.send(port, 'y')
      return one.got.at(-1)!.text === 'c|y'
    })
  })

  it('are not begun for callers that a policy does not let in', async () => {
    const server = await echo('a')
    const port = await start([at(server)], {}, { tcpRoute: { matches: [{ sourceSubnets: ['10.0.0.0/8'] }] } })
    const one = await caller()
    one.send(port, 'x')
    await eventually(() => worker.metric('hostmesh_udp_dropped_total', 'no_route') === 1)
    expect(server.got).to.deep.equal([])
    expect(worker.metric('hostmesh_udp_sessions')).to.equal(0)
  })

  it('are not held to an adaptive limit on requests', async () => {
    const server = await echo('a')
    const limit = { ...concurrency, minLimit: 2, maxLimit: 2 }
    const port = await start([at(server)], {}, { policy: { concurrency: limit } })
    for (let nth = 0; nth < 4; nth++) expect(await (await caller()).ask(port, 'x')).to.equal('a|x')
    expect(worker.metric('hostmesh_udp_sessions')).to.equal(4)
    expect(worker.metric('hostmesh_cluster_concurrency_refusals_total')).to.equal(0)
    expect(worker.metric('hostmesh_cluster_unanswered_requests')).to.equal(0)
  })

  it('are not begun in plain where a rule wants TLS, and the log says so', async () => {
    const server = await echo('a')
    const port = await start([at(server)], {}, { policy: { tls: { mode: 'simple' } as never } })
    const one = await caller()
    one.send(port, 'x')
    await eventually(() => worker.metric('hostmesh_udp_dropped_total', 'unsupported') === 1)
    expect(server.got).to.deep.equal([])
    expect(worker.logged.join('\n')).to.match(/warn service:clock: .*wants TLS/)
  })

  it('do not go round in circles through the agent', async () => {
    const first = await caller()
    const port = await start([at(first)])
    const key = keyOf('clock')
    const set = worker.worker.state.service(key)!.endpoints
    const [endpoint] = set.endpoints
    await worker.change({ endpoints: { [key]: { ...set, version: 2, endpoints: [{ ...endpoint!, port }] } } })
    first.send(port, 'x')
    await eventually(() => worker.metric('hostmesh_udp_dropped_total', 'loop') === 1)
    expect(worker.metric('hostmesh_udp_sessions')).to.equal(0)
  })

  it('of proven callers outlive a flood from many addresses, which is bounded and counted', async () => {
    const server = await echo('a')
    const port = await start([at(server)], { maxUdpSessions: 64 })
    const one = await caller()
    await one.ask(port, 'x')
    await one.ask(port, 'x')
    const flood = await Promise.all(Array.from({ length: 200 }, () => caller()))
    for (let round = 0; round < 3; round++) for (const socket of flood) socket.send(port, 'f')
    await eventually(() => worker.metric('hostmesh_udp_dropped_total') > 0)
    expect(await one.ask(port, 'y')).to.equal('a|y')
    expect(worker.metric('hostmesh_udp_sessions')).to.be.at.most(32)
    expect(worker.metric('hostmesh_udp_session_events_total', 'evicted')).to.be.above(0)
    const callers = new Set(server.got.filter((got) => got.text.length > 0 && got.text !== 'f').map((got) => got.port))
    expect(callers.size, 'sockets towards the endpoint of the proven caller').to.equal(1)
  })

  for (const bound of ['maxRequests', 'maxConnections'] as const) {
    it(`give way to new ones where they are as many as the service may have (${bound}) and have said one thing`, async () => {
      const server = await echo('a')
      const pool = { ...defaultTrafficPolicy.pool, [bound]: 8 }
      const port = await start([at(server)], {}, { policy: { pool } })
      const one = await caller()
      await one.ask(port, 'x')
      await one.ask(port, 'x')
      const silent = await Promise.all(Array.from({ length: 20 }, () => caller()))
      for (const socket of silent) socket.send(port, 'f')
      await eventually(() => worker.metric('hostmesh_udp_session_events_total', 'opened') === 21)
      expect(await (await caller()).ask(port, 'y')).to.equal('a|y')
      expect(worker.metric('hostmesh_udp_sessions')).to.equal(8)
      expect(worker.metric('hostmesh_udp_session_events_total', 'evicted')).to.equal(14)
      expect(await one.ask(port, 'z')).to.equal('a|z')
      const ports = new Set(server.got.filter(({ text }) => text === 'x' || text === 'z').map((got) => got.port))
      expect(ports.size, 'of the proven one').to.equal(1)
    })
  }

  it('end with their listener', async () => {
    const server = await echo('a')
    const port = await start([at(server)])
    const one = await caller()
    await one.ask(port, 'x')
    await worker.change({ listeners: { 'service:clock': null } })
    expect(worker.metric('hostmesh_udp_sessions')).to.equal(0)
    const again = kept(await UdpSocket.open(port))
    expect(again.port).to.equal(port)
  })
})
