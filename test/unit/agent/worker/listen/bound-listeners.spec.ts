import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect } from 'chai'

import { encodeProxyV1, encodeProxyV2, relayTlvs } from '../../../../../contracts/proxy-protocol.ts'
import { encodeProvenHeader, proofAgeMs } from '../../../../../contracts/relay-proof.ts'
import type { ListenerSpec } from '../../../../../contracts/snapshot.ts'
import { acknowledgement, proxyTlv } from '../../../../../contracts/words.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import { closing } from '../../../../support/closing.ts'
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

  it('takes no new connection while memory is short, and serves those that it has', async () => {
    await start()
    const { worker } = started
    const kept = await call(started.port('shared'))
    kept.send(get)
    await kept.expect('\r\n\r\nok')
    const { mesh } = worker.state
    await started.change({ mesh: { ...mesh, maxMemoryBytes: 1 } })
    const opened: Socket[] = []
    while (worker.tallies.memorySheds === 0) {
      const socket = connect(started.port('shared'), '127.0.0.1')
      socket.on('error', () => {}).resume()
      await once(socket, 'connect')
      await new Promise((resolve) => setImmediate(resolve))
      opened.push(socket)
    }
    kept.send(get)
    await kept.expect('\r\n\r\nok')
    await started.change({ mesh })
    let text = ''
    const deadline = performance.now() + 10_000
    while (text === '' && performance.now() < deadline) {
      const socket = connect(started.port('shared'), '127.0.0.1')
      socket.on('error', () => {}).on('data', (bytes) => (text += bytes.toString()))
      socket.write(get.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
      await closing(socket)
    }
    expect(text).to.match(/^HTTP\/1.1 200 /)
    for (const socket of opened) socket.destroy()
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

  it('sheds connections beyond the bound where none rests, and counts them', async () => {
    await start({ limits: { maxConnections: 2 } })
    const first = await call(started.port('orders'))
    first.send('GET')
    const second = await call(started.port('orders'))
    second.send('GET')
    await eventually(() => [...started.worker.connections.list()].every((connection) => !connection.isIdle))
    const third = await call(started.port('orders'))
    await third.closed()
    expect(started.metric('hostmesh_connections_shed_total')).to.equal(1)
    second.close()
    await eventually(() => started.metric('hostmesh_downstream_connections') === 1)
    const next = await call(started.port('orders'))
    next.send(get)
    await next.expect('\r\n\r\nok')
  })

  it('closes one that rests for one that comes at the bound, and counts it', async () => {
    await start({ limits: { maxConnections: 2 } })
    const resting = await call(started.port('orders'))
    const busy = await call(started.port('orders'))
    busy.send('GET')
    await eventually(() => started.worker.connections.list().filter((connection) => connection.isIdle).length === 1)
    const next = await call(started.port('orders'))
    next.send(get)
    await next.expect('\r\n\r\nok')
    await resting.closed()
    expect(started.metric('hostmesh_connections_yielded_total')).to.equal(1)
    busy.send(get.slice(3))
    await busy.expect('\r\n\r\nok')
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

    const relay: Extract<ListenerSpec, { kind: 'relay' }> = {
      ...base,
      name: 'relay',
      proxyProtocol: 'required',
      kind: 'relay',
      allowedNetworks: ['127.0.0.0/8'],
      secretFile: undefined,
      maxConnectionsPerHost: 2,
      maxConnections: 3,
    }

    beforeEach(async () => {
      await start()
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

    it('says that it is not ready where no registry has ever said a word about the endpoints of a service', async () => {
      const key = keyOf('orders')
      const empty = { service: key, endpoints: [], protectThreshold: 0, registry: '' }
      const asked = `GET / HTTP/1.1\r\nHost: x\r\nX-Mesh-Service: orders\r\n\r\n`
      await started.change({ endpoints: { [key]: { ...empty, version: 98, confirmedAt: 0 } } })
      const unheard = await call(started.port('relay'))
      unheard.send(Buffer.concat([header('', 'host-a'), Buffer.from(asked)]))
      await unheard.expect('x-mesh-error: E_CENTER_NOT_READY\r\nx-mesh-tier: none\r\n')
      await started.change({ endpoints: { [key]: { ...empty, version: 99, confirmedAt: Date.now() } } })
      const gone = await call(started.port('relay'))
      gone.send(Buffer.concat([header('', 'host-a'), Buffer.from(asked)]))
      await gone.expect('x-mesh-error: E_BALANCE_NO_ENDPOINT\r\n')
    })

    it('asks control for a service that it does not know yet', async () => {
      const caller = await call(started.port('relay'))
      caller.send(header(keyOf('billing'), 'host-a'))
      await eventually(() => started.asked.includes(keyOf('billing')))
      caller.close()
    })

    async function from(address: string, first: string | Buffer): Promise<RawCaller> {
      const caller = await RawCaller.open(started.port('relay'), '127.0.0.1', address)
      callers.push(caller)
      caller.send(first)
      return caller
    }

    it('sheds an address beyond its share with a clear answer, whatever hosts it states, while others are served', async () => {
      let hosts = 0
      const open = async (address: string): Promise<RawCaller> => {
        const caller = await from(address, header(keyOf('orders'), `host-${hosts++}`))
        caller.send(get)
        await caller.expect('\r\n\r\n')
        return caller
      }
      await open('127.0.0.1')
      await open('127.0.0.1')
      const shed = await open('127.0.0.1')
      expect(shed.text).to.match(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_CENTER_OVERLOAD/)
      await shed.closed()
      expect((await open('127.0.0.2')).text).to.include('200 OK')
      expect((await open('127.0.0.3')).text).to.include('E_CENTER_OVERLOAD')
      expect(started.metric('hostmesh_relay_shed_total')).to.equal(2)
    })

    it('keeps the place of a connection that comes from another worker, past the bounds', async () => {
      const { native } = loadNative()
      const caller = await from('127.0.0.1', Buffer.concat([header(keyOf('orders'), 'host-a'), Buffer.from(get)]))
      await caller.expect('200 OK')
      const { connections } = started.worker
      await eventually(() => connections.list()[0]?.isReady === true)
      const { descriptors, state } = connections.list()[0]!.detach(native!)!
      expect(started.metric('hostmesh_relay_connections')).to.equal(0)
      connections.adopt(state, descriptors)
      expect(started.metric('hostmesh_relay_connections')).to.equal(1)
      caller.close()
      await eventually(() => started.metric('hostmesh_relay_connections') === 0)
    })

    it('closes a peer outside the allowed networks without reading', async () => {
      await started.change({ listeners: { relay: { ...relay, allowedNetworks: ['127.0.0.2/32'] } } })
      const stranger = await from('127.0.0.1', header(keyOf('orders'), 'host-a'))
      await stranger.closed()
      expect(stranger.bytes).to.have.length(0)
      expect(started.metric('hostmesh_relay_strangers_total')).to.equal(1)
      const known = await from('127.0.0.2', Buffer.concat([header(keyOf('orders'), 'host-a'), Buffer.from(get)]))
      await known.expect('200 OK')
    })

    it('says that it goes on to a sender that waits for it, and says so first', async () => {
      const tlvs = [
        ...relayTlvs({ service: keyOf('orders'), host: 'host-a', listener: 'x' }),
        { type: proxyTlv.acknowledge, value: Buffer.alloc(0) },
      ]
      const asking = await from(
        '127.0.0.1',
        encodeProxyV2({ command: 'proxy', source: undefined, destination: undefined, tlvs }),
      )
      await asking.until(() => asking.bytes.length > 0)
      expect([...asking.bytes]).to.deep.equal([acknowledgement])
      asking.send(get)
      await asking.expect('200 OK')
    })

    it('answers that it is not ready while no registry has answered about a service, and ends one that waits for an acknowledgement', async () => {
      const tlvs = relayTlvs({ service: keyOf('billing'), host: 'host-a', listener: 'x' })
      const acknowledged = [...tlvs, { type: proxyTlv.acknowledge, value: Buffer.alloc(0) }]
      const about = { command: 'proxy', source: undefined, destination: undefined } as const
      const asking = await from('127.0.0.1', Buffer.concat([encodeProxyV2({ ...about, tlvs }), Buffer.from(get)]))
      const waiting = await from('127.0.0.2', encodeProxyV2({ ...about, tlvs: acknowledged }))
      await Promise.all([asking.closed(), waiting.closed()])
      expect(asking.text).to.match(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_CENTER_NOT_READY\r\nx-mesh-tier: none\r\n/)
      expect(waiting.bytes).to.have.length(0)
      const named = await from('127.0.0.3', header('', 'host-a'))
      named.send('GET / HTTP/1.1\r\nHost: x\r\nX-Mesh-Service: billing\r\n\r\n')
      await named.expect('x-mesh-error: E_CENTER_NOT_READY\r\nx-mesh-tier: none\r\n')
    })

    it('lets nobody wait for a name about which it got no answer lately, and asks about it again', async () => {
      const tlvs = relayTlvs({ service: keyOf('silent'), host: 'host-a', listener: 'x' })
      const about = { command: 'proxy', source: undefined, destination: undefined, tlvs } as const
      const timedOut = () => started.metric('hostmesh_park_timeouts_total')
      const first = await from('127.0.0.1', Buffer.concat([encodeProxyV2(about), Buffer.from(get)]))
      await first.expect('E_CENTER_NOT_READY')
      first.close()
      expect([timedOut(), started.metric('hostmesh_parked_requests_total')]).to.deep.equal([1, 1])
      for (let again = 0; again < 3; again++) {
        const next = await from('127.0.0.1', Buffer.concat([encodeProxyV2(about), Buffer.from(get)]))
        await next.expect('E_CENTER_NOT_READY')
        next.close()
        await eventually(() => started.metric('hostmesh_relay_connections') === 0)
      }
      expect([timedOut(), started.metric('hostmesh_parked_requests_total')]).to.deep.equal([1, 1])
    })

    it('does not acknowledge a raw connection of a service about which no registry ever spoke', async () => {
      const key = keyOf('orders')
      const empty = { service: key, endpoints: [], protectThreshold: 0, registry: '' }
      await started.change({ endpoints: { [key]: { ...empty, version: 98, confirmedAt: 0 } } })
      const tlvs = [
        ...relayTlvs({ service: key, host: 'host-a', listener: 'x' }),
        { type: proxyTlv.acknowledge, value: Buffer.alloc(0) },
      ]
      const about = { command: 'proxy', source: undefined, destination: undefined, tlvs } as const
      const asking = await from('127.0.0.1', encodeProxyV2(about))
      await asking.closed()
      expect(asking.bytes).to.have.length(0)
    })

    describe('with a secret', () => {
      const secrets = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(40)] as const
      const folder = mkdtempSync(join(tmpdir(), 'hm-secret-'))
      const secretFile = join(folder, 'relay.secret')
      const keys = secrets.map((secret) => Buffer.from(secret))
      const plain = {
        command: 'proxy',
        source: { address: '10.9.8.7', port: 1234 },
        destination: { address: '10.0.0.1', port: 80 },
        tlvs: relayTlvs({ service: keyOf('orders'), host: 'host-a', listener: 'x' }),
      } as const
      const proven = (key: Buffer, at = Date.now()) => encodeProvenHeader(plain, key, at, randomBytes(16))

      function keep(...lines: string[]): void {
        writeFileSync(secretFile, `${lines.join('\n')}\n`, { mode: 0o600 })
      }

      async function isServed(introduction: Buffer): Promise<boolean> {
        const caller = await from('127.0.0.1', Buffer.concat([introduction, Buffer.from(get)]))
        await caller.until(() => caller.isOver || caller.text.includes('\r\n\r\n'))
        const isAnswered = caller.text.includes('200 OK')
        caller.close()
        return isAnswered
      }

      beforeEach(async () => {
        keep(secrets[0], secrets[1])
        await started.change({
          listeners: { relay: { ...relay, secretFile, maxConnectionsPerHost: 50, maxConnections: 50 } },
        })
      })

      after(() => rmSync(folder, { recursive: true }))

      it('takes either of two keys, and nobody without, with another one, too old or too young, or a second time', async () => {
        expect(await isServed(proven(keys[0]!))).to.equal(true)
        expect(await isServed(proven(keys[1]!))).to.equal(true)
        expect(await isServed(encodeProxyV2(plain)), 'none').to.equal(false)
        expect(await isServed(proven(keys[2]!)), 'another').to.equal(false)
        expect(await isServed(proven(keys[0]!, Date.now() - proofAgeMs - 1000)), 'old').to.equal(false)
        expect(await isServed(proven(keys[0]!, Date.now() + proofAgeMs + 1000)), 'young').to.equal(false)
        const overheard = proven(keys[0]!)
        expect(await isServed(overheard)).to.equal(true)
        expect(await isServed(overheard), 'again').to.equal(false)
        const changed = proven(keys[0]!)
        changed[20]! ^= 1
        expect(await isServed(changed), 'another source').to.equal(false)
        expect(started.metric('hostmesh_relay_proof_refusals_total')).to.equal(6)
      })

      it('takes up a changed file, and admits nobody while it cannot be used', async function () {
        this.timeout(20_000)
        const becomes = async (key: Buffer, wanted: boolean): Promise<void> => {
          while ((await isServed(proven(key))) !== wanted) await new Promise((resolve) => setTimeout(resolve, 50))
        }
        expect(await isServed(proven(keys[2]!))).to.equal(false)
        keep(secrets[2], secrets[0])
        await becomes(keys[2]!, true)
        expect(await isServed(proven(keys[0]!))).to.equal(true)
        expect(await isServed(proven(keys[1]!))).to.equal(false)
        keep('short')
        await becomes(keys[2]!, false)
        keep(secrets[2])
        await becomes(keys[2]!, true)
        // readable by others
        chmodSync(secretFile, 0o644)
        await becomes(keys[2]!, false)
        chmodSync(secretFile, 0o600)
        await becomes(keys[2]!, true)
      })
    })
  })
})
