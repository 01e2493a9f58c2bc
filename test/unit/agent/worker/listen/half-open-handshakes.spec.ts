import { once } from 'node:events'
import { connect as connectPlain } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

import { expect } from 'chai'

import type { ListenerSpec } from '../../../../../contracts/snapshot.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { Authority } from '../../../../support/tls/authority.ts'
import { workload } from '../../../../support/tls/secure-sockets.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const id = 'spiffe://mesh.test/ns/default/sa/orders'

describe('a STRICT port under callers that begin and do not go on', function () {
  this.timeout(60_000)
  const authority = new Authority()
  let backend: RecordingBackend
  let started: StartedWorker
  const hanging = new Set<Socket>()

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    started = await startWorker(
      { services: [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }] }] },
      {},
    )
    started.worker.tls.identities.replace([workload(authority, authority.leaf(id), id)])
    const inbound: ListenerSpec = {
      name: 'inbound',
      address: '127.0.0.1',
      port: 0,
      proxyProtocol: 'off',
      kind: 'inbound',
      protocol: 'http',
      service: keyOf('orders'),
      virtualHost: keyOf('orders'),
      app: 'orders',
      mtls: 'strict',
    }
    await started.change({ listeners: { inbound } })
  })

  afterEach(async () => {
    for (const socket of hanging) socket.destroy()
    hanging.clear()
    started.stop()
    await backend.close()
  })

  async function begin(bytes: Buffer): Promise<void> {
    const socket = connectPlain(started.port('inbound'), '127.0.0.1')
    hanging.add(socket)
    socket.on('error', () => {}).resume()
    socket.on('close', () => hanging.delete(socket))
    await once(socket, 'connect')
    socket.write(bytes)
  }

  async function beginMany(count: number, bytes: Buffer): Promise<void> {
    for (let done = 0; done < count; done += 250)
      await Promise.all(Array.from({ length: Math.min(250, count - done) }, () => begin(bytes).catch(() => {})))
  }

  /** Ms that a caller with a certificate waits for its answer. */
  async function goodCaller(): Promise<number> {
    const began = performance.now()
    const { certificate, key } = authority.leaf('spiffe://mesh.test/ns/default/sa/caller')
    const socket = connectTls({
      host: '127.0.0.1',
      port: started.port('inbound'),
      cert: certificate,
      key,
      ca: authority.certificate,
      checkServerIdentity: () => undefined,
      ALPNProtocols: ['http/1.1'],
    })
    let text = ''
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
    await once(socket, 'secureConnect')
    socket.write('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    await eventually(() => text.includes('200 OK'))
    socket.destroy()
    return performance.now() - began
  }

  /** A record that never becomes whole: of a handshake, 512 bytes long. */
  const halfRecord = Buffer.from([22, 3, 1, 2, 0, 1])
  const crowded = () => started.metric('hostmesh_tls_handshakes_total', 'server', 'crowded')

  it('holds no more of them than its bound: the oldest of 10,000 give way, and others are served meanwhile', async () => {
    await beginMany(10_000, halfRecord)
    await eventually(() => crowded() >= 10_000 - 4096)
    expect(started.metric('hostmesh_downstream_connections')).to.be.at.most(4096)
    expect(await goodCaller()).to.be.below(5000)
    expect(crowded()).to.be.within(10_000 - 4096, 10_000)
  })

  it('refuses a first record at once that says to be longer than any, and holds nothing of it', async () => {
    const tooLarge = () => started.metric('hostmesh_tls_handshakes_total', 'server', 'too_large')
    await begin(Buffer.from([22, 3, 1, 0xff, 0xff]))
    await begin(Buffer.from([22, 3, 1, 0x41, 0x01]))
    await eventually(() => tooLarge() === 2 && hanging.size === 0)
    // the longest that there may be
    await begin(Buffer.from([22, 3, 1, 0x41, 0x00]))
    expect(await goodCaller()).to.be.below(5000)
    expect([tooLarge(), hanging.size]).to.deep.equal([2, 1])
  })

  it('refuses at once what is no handshake of TLS 1.3: garbage, older hellos, plain bytes', async () => {
    await begin(Buffer.from('\x00\x01\x02 garbage'))
    // the hello of SSLv2 that SSLv3 clients sent
    await begin(Buffer.from('8046010300001d000000100100', 'hex'))
    await begin(Buffer.from('GET / HTTP/1.1\r\nHost: orders\r\n\r\n'))
    await eventually(() => started.metric('hostmesh_tls_handshakes_total', 'server', 'no_tls') === 3)
    const old = connectTls({
      host: '127.0.0.1',
      port: started.port('inbound'),
      maxVersion: 'TLSv1.2',
      rejectUnauthorized: false,
    })
    const [error] = (await once(old, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).to.match(/PROTOCOL_VERSION|ECONNRESET/)
    await eventually(() => started.metric('hostmesh_tls_handshakes_total', 'server', 'protocol_version') === 1)
    expect(await goodCaller()).to.be.below(5000)
  })
})
