/**
 * Bad input in each protocol: one connection ends, its neighbours and the process do not notice, and the log says why.
 */
import net from 'node:net'
import { expect } from 'chai'

import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import type { RpcCodec } from '../../../rpc/codec.ts'
import { DeclaredCodec } from '../../../rpc/declared/declared.ts'
import { DubboCodec } from '../../../rpc/dubbo/dubbo.ts'
import { ThriftCodec } from '../../../rpc/thrift/thrift.ts'
import { closing } from '../../support/closing.ts'
import { boltFrame, boltRequest } from '../../support/rpc/bolt-frames.ts'
import { dubboFrame, dubboReply, dubboRequest } from '../../support/rpc/dubbo-frames.ts'
import { RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import type { RpcApplication } from '../../support/rpc/far-sides.ts'
import { mainstayDescription, mainstayFrame, mainstayRequest } from '../../support/rpc/mainstay.ts'
import { binaryMessage, headerFrame, thriftFrame } from '../../support/rpc/thrift-frames.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

interface Sample {
  readonly codec: RpcCodec
  request(service: string, attribute?: string): Buffer
  readonly reply: Buffer
  /** null = the protocol has none. */
  readonly heartbeat: Buffer | null
  /** The longest service that a frame can hold. */
  readonly longest: number
}

const description = mainstayDescription()
const empty = Buffer.from([0])
const samples: readonly Sample[] = [
  {
    codec: new BoltCodec(),
    request: (service, value) =>
      boltRequest(service, 'm', { attributes: value === undefined ? [] : [['lane', value]] }),
    reply: boltFrame({ type: 0, className: 'R' }),
    heartbeat: boltFrame({ command: 0 }),
    longest: 32_000,
  },
  {
    codec: new DubboCodec(),
    request: (service, value) =>
      dubboRequest(service, 'm', { attachments: value === undefined ? [] : [['lane', value]] }),
    reply: dubboReply(7, 'done'),
    heartbeat: dubboFrame({ flags: 0xe2, body: Buffer.from('N') }),
    longest: 65_535,
  },
  {
    codec: new ThriftCodec(),
    request: (service, value) => {
      const call = binaryMessage(1, `${service}:m`, 7, empty)
      return value === undefined ? thriftFrame(call) : headerFrame(7, 0, [['lane', value]], call)
    },
    reply: thriftFrame(binaryMessage(2, 'm', 7, empty)),
    heartbeat: null,
    longest: 65_536,
  },
  {
    codec: new DeclaredCodec('mainstay', description),
    request: (service, value) =>
      mainstayRequest(service, 'm', { attributes: value === undefined ? [] : [['lane', value]] }),
    reply: mainstayFrame({ type: 3 }),
    heartbeat: mainstayFrame({ type: 4 }),
    longest: 60_000,
  },
]

for (const { codec, heartbeat, longest, reply, request } of samples) {
  const { name } = codec
  describe(`bad input in ${name}`, () => {
    let mesh: StartedWorker
    let neighbour: RpcCaller
    let application: RpcApplication

    before(async () => {
      application = await startApplication(codec, ({ bytes }) =>
        bytes[4] === 0x0f ? headerFrame(7, 0, [], binaryMessage(2, 'm', 7, empty)) : Buffer.from(reply),
      )
      const endpoints = [{ address: '127.0.0.1', port: application.port }]
      mesh = await startWorker({
        services: [{ name: 'orders', protocol: name as RpcProtocol, endpoints }],
        rpc: { [name]: { address: '127.0.0.1', port: 0 } },
        mesh: { rpcProtocols: { mainstay: description } },
      })
      neighbour = await RpcCaller.connect(codec, mesh.port(name))
    })

    after(async () => {
      neighbour.close()
      mesh.stop()
      await application.close()
    })

    afterEach(async () => {
      expect((await neighbour.call(request('orders'))).frame.status).to.equal(200)
      expect(neighbour.isClosed).to.equal(false)
    })

    const counted = (): number =>
      mesh.metric('hostmesh_rpc_broken_frames_total') + mesh.metric('hostmesh_rpc_limits_total')

    /** Until its connection is closed, once, for the rule that the log then names. */
    async function ends(bytes: Buffer, rule: string): Promise<void> {
      const [before, lines] = [counted(), mesh.logged.length]
      const socket = net.connect(mesh.port(name), '127.0.0.1')
      socket.on('error', () => {})
      socket.resume()
      socket.write(bytes)
      await closing(socket)
      expect(counted() - before).to.equal(1)
      expect(mesh.logged.slice(lines).filter((line) => line.includes(rule))).to.have.length(1)
    }

    it('ends for a service as long as a frame can say it', () => ends(request('x'.repeat(longest)), 'name: '))

    it('ends for a service with control characters', () => ends(request('orders\r\nx-mesh-service'), 'name: '))

    it('passes control characters of an attribute as they are, and tells nobody else', async () => {
      const lines = mesh.logged.length
      const sent = request('orders', 'blue\r\nx-mesh-error: E_FAKE\0')
      expect((await neighbour.call(sent)).frame.status).to.equal(200)
      const got = application.requests.at(-1)!
      expect(codec.attribute(got.bytes, 0, got.frame, 'lane')).to.equal('blue\r\nx-mesh-error: E_FAKE\0')
      expect(mesh.logged.slice(lines)).to.deep.equal([])
    })

    if (heartbeat !== null)
      it('ends for more heartbeats than anybody needs', () =>
        ends(Buffer.concat(Array.from({ length: 150 }, () => heartbeat)), 'heartbeats'))

    it('ends for replies to nothing, one after the other', () =>
      ends(Buffer.concat(Array.from({ length: 150 }, () => reply)), 'heartbeats'))

    it('ends for bytes of another protocol', async () => {
      await ends(
        Buffer.from('GET / HTTP/1.1\r\nhost: orders\r\n\r\n'),
        name === 'thrift' ? 'over the limit' : 'magic: ',
      )
    })

    it('answers each of the requests that have one id at once', async () => {
      const twice = request('orders')
      const before = neighbour.others.length
      neighbour.socket.write(Buffer.concat([twice, twice, twice]))
      await eventually(() => neighbour.others.length === before + 3)
      const replies = neighbour.others.slice(before)
      expect(replies.map(({ frame }) => [frame.idLow, frame.status])).to.deep.equal(Array(3).fill([7, 200]))
    })
  })
}

describe('words of the mesh that a caller says in a frame whose attributes cannot be changed', () => {
  const forged: readonly (readonly [RpcCodec, (name: string) => Buffer, Buffer])[] = [
    [
      new BoltCodec(),
      (name) => boltRequest('orders', 'm', { version: 2, crc: true, attributes: [[name, 'shop']] }),
      boltFrame({ type: 0, className: 'R' }),
    ],
    [
      new ThriftCodec(),
      (name) => headerFrame(7, 0, [[name, 'shop']], binaryMessage(1, 'orders:m', 7, empty)),
      headerFrame(7, 0, [], binaryMessage(2, 'm', 7, empty)),
    ],
  ]

  for (const [codec, request, reply] of forged)
    it(`reach no endpoint in ${codec.name}`, async () => {
      const application = await startApplication(codec, () => Buffer.from(reply))
      const endpoints = [{ address: '127.0.0.1', port: application.port }]
      const mesh = await startWorker({
        services: [{ name: 'orders', protocol: codec.name as RpcProtocol, endpoints }],
        rpc: { [codec.name]: { address: '127.0.0.1', port: 0 } },
      })
      const caller = await RpcCaller.connect(codec, mesh.port(codec.name))
      for (const name of ['x-mesh-source', 'x-mesh-route']) {
        const { bytes, frame } = await caller.call(request(name))
        expect(frame.status, name).to.not.equal(200)
        expect(bytes.toString('latin1'), name).to.include('E_UPSTREAM_PROTOCOL')
      }
      expect(application.requests).to.deep.equal([])
      expect((await caller.call(request('lane'))).frame.status).to.equal(200)
      caller.close()
      mesh.stop()
      await application.close()
    })
})
