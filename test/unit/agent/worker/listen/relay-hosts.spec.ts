import { once } from 'node:events'
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'

import { expect } from 'chai'

import { encodeProxyV2, relayTlvs } from '../../../../../contracts/proxy-protocol.ts'
import type { ListenerSpec } from '../../../../../contracts/snapshot.ts'
import { acknowledgement, proxyTlv } from '../../../../../contracts/words.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { Authority } from '../../../../support/tls/authority.ts'
import { workload } from '../../../../support/tls/secure-sockets.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { keyOf, snapshotOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const center = 'spiffe://mesh.test/center'
const hostOf = (name: string) => `spiffe://mesh.test/host/${name}`
const get = 'GET / HTTP/1.1\r\nHost: anything\r\n\r\n'

type RelaySpec = Extract<ListenerSpec, { kind: 'relay' }>

describe('a relay listener in mutual TLS', () => {
  const authority = new Authority()
  const relay: RelaySpec = {
    name: 'relay',
    address: '127.0.0.1',
    port: 0,
    proxyProtocol: 'required',
    kind: 'relay',
    allowedNetworks: ['127.0.0.0/8'],
    // nobody knows it: whoever comes in plain is refused
    secretFile: '/nowhere/relay.secret',
    maxConnectionsPerHost: 2,
    maxConnections: 10,
    mtls: 'permissive',
    hosts: ['shop-*', 'till'],
  }
  let backend: RecordingBackend
  let started: StartedWorker
  const sockets: TLSSocket[] = []

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    started = await startWorker({
      services: [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }] }],
    })
    started.worker.tls.identities.replace([workload(authority, authority.leaf(center), center)])
    await started.change({ listeners: { relay } })
  })

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    started.stop()
    await backend.close()
  })

  function header(asksAcknowledgement = false): Buffer {
    const tlvs = [...relayTlvs({ service: keyOf('orders'), host: 'whatever', listener: 'x' })]
    if (asksAcknowledgement) tlvs.push({ type: proxyTlv.acknowledge, value: Buffer.alloc(0) })
    return encodeProxyV2({ command: 'proxy', source: undefined, destination: undefined, tlvs })
  }

  interface Told {
    readonly socket: TLSSocket
    text: string
    isOver: boolean
  }

  async function call(id: string, first: readonly (Buffer | string)[], from = authority): Promise<Told> {
    const { certificate, key } = from.leaf(id)
    const socket = connect({
      host: '127.0.0.1',
      port: started.port('relay'),
      cert: certificate,
      key,
      ca: authority.certificate,
      ALPNProtocols: ['hostmesh'],
      checkServerIdentity: () => undefined,
    })
    sockets.push(socket)
    const told: Told = { socket, text: '', isOver: false }
    socket.on('data', (bytes: Buffer) => (told.text += bytes.toString('latin1')))
    socket.on('error', () => {}).on('close', () => (told.isOver = true))
    await once(socket, 'secureConnect')
    for (const one of first) socket.write(one)
    return told
  }

  async function answer(id: string, from = authority): Promise<string> {
    const told = await call(id, [header(), get], from)
    await eventually(() => told.isOver || told.text.includes('\r\n\r\n'))
    return told.text.slice(0, 12)
  }

  it('takes the hosts that its configuration names without a secret, and the center itself', async () => {
    expect(await answer(hostOf('shop-1'))).to.equal('HTTP/1.1 200')
    expect(await answer(hostOf('till'))).to.equal('HTTP/1.1 200')
    expect(await answer(center)).to.equal('HTTP/1.1 200')
    expect(started.metric('hostmesh_inbound_connections_total', 'relay', 'mutual_tls', hostOf('till'))).to.equal(1)
  })

  it('refuses other hosts, applications, other trust domains and other authorities, by number and in the log', async () => {
    expect(await answer(hostOf('shop'))).to.equal('')
    expect(await answer(hostOf('till2'))).to.equal('')
    expect(await answer('spiffe://mesh.test/ns/default/sa/till')).to.equal('')
    expect(await answer('spiffe://other.test/host/till')).to.equal('')
    expect(await answer('spiffe://other.test/center')).to.equal('')
    expect(started.metric('hostmesh_relay_refused_hosts_total')).to.equal(5)
    expect(await answer(hostOf('till'), new Authority('stranger'))).to.equal('')
    expect(started.metric('hostmesh_tls_handshakes_total', 'server', 'unknown_authority')).to.equal(1)
    const said = started.logged.filter((line) => line.includes('relay.hosts'))
    expect(said).to.have.length(1)
    expect(said[0]).to.include(`${hostOf('shop')} is no host that relay.hosts names`)
    expect(backend.requests).to.have.length(0)
  })

  it('refuses a host that the authority denies, ends its connections at once, and takes it back later', async () => {
    const till = await call(hostOf('till'), [header(), get])
    const shop = await call(hostOf('shop-1'), [header(), get])
    await eventually(() => till.text.endsWith('ok') && shop.text.endsWith('ok'))
    await started.change({ listeners: { relay: { ...relay, deniedHosts: ['till'] } } })
    await eventually(() => till.isOver)
    expect(await answer(hostOf('till'))).to.equal('')
    expect(started.metric('hostmesh_relay_refused_hosts_total')).to.equal(1)
    const said = started.logged.filter((line) => line.includes('the authority'))
    expect(said[0]).to.include('1 relayed connections cut')
    expect(said[1]).to.include(`${hostOf('till')} is denied by the authority`)
    shop.socket.write(get)
    await eventually(() => shop.text.split('200 OK').length === 3)
    await started.change({ listeners: { relay } })
    expect(await answer(hostOf('till'))).to.equal('HTTP/1.1 200')
  })

  it('refuses a host that is denied while its connection waits: for its header, for a service', async () => {
    const unheard = encodeProxyV2({
      command: 'proxy',
      source: undefined,
      destination: undefined,
      tlvs: relayTlvs({ service: keyOf('unheard'), host: 'whatever', listener: 'x' }),
    })
    const hidden = await call(hostOf('till'), [])
    const waiting = await call(hostOf('till'), [unheard, get])
    await eventually(() => started.metric('hostmesh_relay_connections') === 1)
    await started.change({ listeners: { relay: { ...relay, deniedHosts: ['till'] } } })
    const { names, services, virtualHosts } = snapshotOf({
      services: [{ name: 'unheard', endpoints: [{ address: '127.0.0.1', port: backend.port }] }],
      listen: {},
    })
    await started.change({ names: { ...names, [keyOf('unheard')]: keyOf('unheard') }, services, virtualHosts })
    hidden.socket.write(Buffer.concat([header(), Buffer.from(get)]))
    await eventually(() => hidden.isOver && waiting.isOver)
    expect(hidden.text + waiting.text).to.equal('')
    expect(started.metric('hostmesh_relay_refused_hosts_total')).to.equal(2)
    expect(backend.requests).to.have.length(0)
  })

  it('takes no connection of a denied host from another process', async () => {
    const told = await call(hostOf('till'), [header(), get])
    await eventually(() => told.text.endsWith('ok'))
    const { connections } = started.worker
    await eventually(() => connections.list()[0]?.isReady === true)
    const { descriptors, state } = connections.list()[0]!.detach(loadNative().native!)!
    await started.change({ listeners: { relay: { ...relay, deniedHosts: ['till'] } } })
    expect(() => connections.adopt(state, descriptors)).to.throw(/denies the host/)
    await eventually(() => told.isOver)
  })

  it('while permissive asks plain callers for the secret, and with STRICT takes none at all', async () => {
    const plain = async (): Promise<void> => {
      const caller = await RawCaller.open(started.port('relay'))
      caller.send(Buffer.concat([header(), Buffer.from(get)]))
      await caller.closed()
      expect(caller.bytes).to.have.length(0)
      caller.close()
    }
    await plain()
    expect(started.metric('hostmesh_relay_proof_refusals_total')).to.equal(1)
    await started.change({ listeners: { relay: { ...relay, secretFile: undefined, mtls: 'strict' } } })
    await plain()
    expect(started.metric('hostmesh_tls_handshakes_total', 'server', 'no_tls')).to.equal(1)
    expect(await answer(hostOf('till'))).to.equal('HTTP/1.1 200')
  })

  it('while permissive takes plain callers as before: whole heads, heads in pieces, raw connections', async () => {
    await started.change({ listeners: { relay: { ...relay, secretFile: undefined, maxConnectionsPerHost: 10 } } })
    const open = async (...pieces: Buffer[]): Promise<RawCaller> => {
      const caller = await RawCaller.open(started.port('relay'))
      for (const piece of pieces) {
        caller.send(piece)
        await new Promise((resolve) => setImmediate(resolve))
      }
      return caller
    }
    const whole = Buffer.concat([header(), Buffer.from(get)])
    const callers = [
      await open(whole),
      await open(header(), Buffer.from(get)),
      await open(whole.subarray(0, 3), whole.subarray(3, 20), whole.subarray(20)),
    ]
    for (const caller of callers) await caller.expect('200 OK')
    const raw = await open(header(true))
    await raw.until(() => raw.bytes.length > 0)
    expect(raw.bytes[0]).to.equal(acknowledgement)
    for (const caller of [...callers, raw]) caller.close()
  })

  it('bounds connections by the host that is proved, not by its address', async () => {
    for (let round = 0; round < 2; round++) expect(await answer(hostOf('till'))).to.equal('HTTP/1.1 200')
    expect(await answer(hostOf('till'))).to.equal('HTTP/1.1 503')
    expect(await answer(hostOf('shop-1'))).to.equal('HTTP/1.1 200')
    expect(started.metric('hostmesh_relay_shed_total')).to.equal(1)
  })

  it('acknowledges a raw connection inside TLS', async () => {
    const told = await call(hostOf('till'), [header(true)])
    await eventually(() => told.text.length > 0)
    expect(told.text).to.equal(String.fromCharCode(acknowledgement))
  })

  it('keeps the place of its host when a connection moves to another process', async () => {
    const told = await call(hostOf('till'), [header(), get])
    await eventually(() => told.text.endsWith('ok'))
    const { connections } = started.worker
    await eventually(() => connections.list()[0]?.isReady === true)
    const { descriptors, state } = connections.list()[0]!.detach(loadNative().native!)!
    expect(started.metric('hostmesh_relay_connections')).to.equal(0)
    connections.adopt(state, descriptors)
    expect(await answer(hostOf('till'))).to.equal('HTTP/1.1 200')
    expect(await answer(hostOf('till')), 'the third of one host').to.equal('HTTP/1.1 503')
    told.socket.write(get)
    await eventually(() => told.text.split('200 OK').length === 3)
  })
})
