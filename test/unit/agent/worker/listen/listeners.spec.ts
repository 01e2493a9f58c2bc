import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'

import { expect } from 'chai'

import { encodeProxyV1, encodeProxyV2, relayTlvs } from '../../../../../contracts/proxy-protocol.ts'
import type { ListenerSpec } from '../../../../../contracts/snapshot.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import type { SnapshotPlan } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

describe('listeners', () => {
  let backend: RecordingBackend
  let started: StartedWorker
  const callers: RawCaller[] = []

  beforeEach(async () => {
    backend = await RecordingBackend.start()
  })

  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close()
    started.stop()
    await backend.close()
  })

  async function start(plan: Partial<SnapshotPlan> = {}): Promise<void> {
    started = await startWorker({
      services: [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }] }],
      ...plan,
    })
  }

  async function call(port: number): Promise<RawCaller> {
    const caller = await RawCaller.open(port)
    callers.push(caller)
    return caller
  }

  const get = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n'
  const base = { address: '127.0.0.1', port: 0 }

  it('serves on, names the owner and degrades one listener when an address is taken', async () => {
    const owner = createServer()
    await new Promise<void>((resolve) => owner.listen(0, '127.0.0.1', resolve))
    const { port } = owner.address() as AddressInfo
    try {
      await start({ listen: { orders: { address: '127.0.0.1', port } } })
      const [problem] = await started.worker.problems()
      expect(problem!.code).to.equal('E_LISTEN_IN_USE')
      expect(problem!.message).to.include(`127.0.0.1:${port}`).and.to.include(`pid ${process.pid}`)
      const caller = await call(started.port('shared'))
      caller.send(get)
      await caller.expect('\r\n\r\nok')
    } finally {
      await new Promise<void>((resolve) => owner.close(() => resolve()))
    }
  })

  it('drains until the drain is taken back, whatever the snapshot says meanwhile', async () => {
    await start()
    const port = started.port('shared')
    const { worker } = started
    worker.answer({ kind: 'drain-listeners', inboundOnly: true })
    expect(started.port('shared'), 'no inbound listener').to.equal(port)
    worker.answer({ kind: 'drain-listeners', inboundOnly: false })
    expect(() => started.port('shared')).to.throw('no listener')
    const extra: ListenerSpec = { ...base, name: 'extra', proxyProtocol: 'off', kind: 'shared-http' }
    const again: ListenerSpec = { ...base, name: 'shared', proxyProtocol: 'off', kind: 'shared-http' }
    await started.change({ listeners: { extra, shared: again } })
    expect(started.port('extra'), 'a new one opens').to.be.greaterThan(0)
    expect(() => started.port('shared')).to.throw('no listener')
    worker.answer({ kind: 'undrain-listeners' })
    await eventually(() =>
      (worker.answer({ kind: 'listeners' }) as { name: string }[]).some(({ name }) => name === 'shared'),
    )
    const caller = await call(started.port('shared'))
    caller.send(get)
    await caller.expect('\r\n\r\nok')
  })

  it('follows the snapshot: a new listener opens, a removed one closes, the others keep their sockets', async () => {
    await start()
    const kept = started.port('orders')
    const extra: ListenerSpec = { ...base, name: 'extra', proxyProtocol: 'off', kind: 'shared-http' }
    await started.change({ listeners: { extra } })
    const caller = await call(started.port('extra'))
    caller.send(get)
    await caller.expect('\r\n\r\nok')
    await started.change({ listeners: { extra: null } })
    expect(() => started.port('extra')).to.throw('no listener')
    expect(started.port('orders')).to.equal(kept)
    caller.send(get)
    await eventually(() => caller.text.split('200 OK').length === 3)
  })

  it('drains on request: refuses new connections and ends HTTP connections with their next answer', async () => {
    await start()
    const port = started.port('orders')
    const caller = await call(port)
    caller.send(get)
    await caller.expect('\r\n\r\nok')
    started.worker.answer({ kind: 'drain-listeners', inboundOnly: false })
    expect(
      await RawCaller.open(port).then(
        () => 'open',
        (error: NodeJS.ErrnoException) => error.code,
      ),
    ).to.equal('ECONNREFUSED')
    caller.send(get)
    await caller.expect('Connection: close')
    await caller.closed()
  })

  it('sheds connections beyond the bound and counts them', async () => {
    await start({ limits: { maxConnections: 2 } })
    const first = await call(started.port('orders'))
    await call(started.port('orders'))
    const third = await call(started.port('orders'))
    await third.closed()
    expect(started.metric('hostmesh_connections_shed_total')).to.equal(1)
    first.close()
    await eventually(() => started.metric('hostmesh_downstream_connections') === 1)
    const next = await call(started.port('orders'))
    next.send(get)
    await next.expect('\r\n\r\nok')
  })

  describe('with PROXY protocol', () => {
    const source = { address: '10.9.8.7', port: 1234 }
    const destination = { address: '10.0.0.1', port: 80 }

    beforeEach(async () => {
      await start()
      const spec: ListenerSpec = { ...base, name: 'proxied', proxyProtocol: 'required', kind: 'shared-http' }
      await started.change({ listeners: { proxied: spec } })
    })

    for (const [version, header] of [
      ['v1', encodeProxyV1(source, destination)],
      ['v2', encodeProxyV2({ command: 'proxy', source, destination, tlvs: [] })],
    ] as const) {
      it(`takes the caller from a ${version} header, also when it drips in`, async () => {
        const caller = await call(started.port('proxied'))
        for (const byte of header) {
          caller.send(Buffer.from([byte]))
          await new Promise((resolve) => setImmediate(resolve))
        }
        caller.send(get)
        await caller.expect('\r\n\r\nok')
        const [connection] = started.worker.connections.list()
        expect((connection as unknown as { sourceAddress: string }).sourceAddress).to.equal('10.9.8.7')
      })
    }

    it('closes a connection that begins with anything else', async () => {
      const caller = await call(started.port('proxied'))
      caller.send(get)
      await caller.closed()
      expect(caller.bytes).to.have.length(0)
      expect(backend.requests).to.have.length(0)
      expect(started.metric('hostmesh_proxy_protocol_errors_total')).to.equal(1)
    })
  })

  describe('of kind relay', () => {
    const header = (service: string, host: string) =>
      encodeProxyV2({
        command: 'proxy',
        source: { address: '10.9.8.7', port: 1234 },
        destination: { address: '10.0.0.1', port: 80 },
        tlvs: relayTlvs({ service, host, listener: 'x' }),
      })

    beforeEach(async () => {
      await start()
      const relay: ListenerSpec = {
        ...base,
        name: 'relay',
        proxyProtocol: 'required',
        kind: 'relay',
        maxConnectionsPerHost: 2,
        maxConnections: 3,
      }
      await started.change({ listeners: { relay } })
    })

    it('behaves like the listener of the service in the TLV', async () => {
      const caller = await call(started.port('relay'))
      caller.send(header(keyOf('orders'), 'host-a'))
      caller.send('GET / HTTP/1.1\r\nHost: anything\r\n\r\n')
      await caller.expect('\r\n\r\nok')
    })

    it('behaves like the shared HTTP port for an empty service', async () => {
      const caller = await call(started.port('relay'))
      caller.send(header('', 'host-a'))
      caller.send('GET / HTTP/1.1\r\nHost: x\r\nX-Mesh-Service: orders\r\n\r\n')
      await caller.expect('\r\n\r\nok')
    })

    it('asks control for a service that it does not know yet', async () => {
      const caller = await call(started.port('relay'))
      caller.send(header(keyOf('billing'), 'host-a'))
      await eventually(() => started.asked.includes(keyOf('billing')))
      caller.close()
    })

    it('sheds a host beyond its share with a clear answer, while other hosts are served', async () => {
      const open = async (host: string): Promise<RawCaller> => {
        const caller = await call(started.port('relay'))
        caller.send(header(keyOf('orders'), host))
        caller.send(get)
        await caller.expect('\r\n\r\n')
        return caller
      }
      await open('host-a')
      await open('host-a')
      const shed = await open('host-a')
      expect(shed.text).to.match(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_CENTER_OVERLOAD/)
      await shed.closed()
      expect((await open('host-b')).text).to.include('200 OK')
      expect((await open('host-c')).text).to.include('E_CENTER_OVERLOAD')
      expect(started.metric('hostmesh_relay_shed_total')).to.equal(2)
    })
  })
})
