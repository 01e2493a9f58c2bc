/** Dubbo and Thrift through a worker: what differs from Bolt, for which `bolt.spec.ts` has the whole road. */
import { expect } from 'chai'

import type { RpcProtocol } from '../../../contracts/protocols.ts'
import type { RpcCodec } from '../../../rpc/codec.ts'
import { DubboCodec } from '../../../rpc/dubbo/dubbo.ts'
import { FrameKind } from '../../../rpc/frame.ts'
import { ThriftCodec } from '../../../rpc/thrift/thrift.ts'
import { dubboFrame, dubboReply, dubboRequest } from '../../support/rpc/dubbo-frames.ts'
import { binaryMessage, compactMessage, headerFrame, thriftFrame } from '../../support/rpc/thrift-frames.ts'
import { RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import type { RpcApplication, Served } from '../../support/rpc/far-sides.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const anyPort = { address: '127.0.0.1', port: 0 }

describe('a caller in', () => {
  let mesh: StartedWorker
  let caller: RpcCaller
  let application: RpcApplication

  async function start(codec: RpcCodec, service: string, answer: (served: Served) => Buffer): Promise<void> {
    application = await startApplication(codec, answer)
    const protocol = codec.name as RpcProtocol
    const endpoints = [{ address: '127.0.0.1', port: application.port }]
    mesh = await startWorker({
      services: [
        { name: service, protocol, endpoints },
        { name: 'nobody', protocol, endpoints: [] },
      ],
      rpc: { [codec.name]: anyPort },
      mesh: { tracing: { createMissing: true, sampledShare: 1 } },
    })
    caller = await RpcCaller.connect(codec, mesh.port(codec.name))
  }

  afterEach(async () => {
    caller.close()
    mesh.stop()
    await application.close()
  })

  it('Dubbo has calls by the interface, an exception for what fails, and its heartbeats answered', async () => {
    const codec = new DubboCodec()
    await start(codec, 'shop.Orders', () => dubboReply(0, 'done'))
    const reply = await caller.call(dubboRequest('shop.Orders', 'place', { attachments: [['group', 'g']] }))
    expect(reply.bytes.subarray(-4).toString()).to.equal('done')
    const [{ bytes, frame }] = application.requests as [Served]
    expect(codec.attribute(bytes, 0, frame, 'group')).to.equal('g')
    expect(codec.attribute(bytes, 0, frame, 'traceparent')).to.match(/^00-/)
    const failed = await caller.call(dubboRequest('nobody', 'place'))
    expect(failed.frame.code).to.equal(80)
    expect(failed.bytes.toString('latin1')).to.include('E_BALANCE_NO_ENDPOINT')
    caller.socket.write(dubboFrame({ flags: 0xe2, id: 5, body: Buffer.from('N') }))
    await eventually(() => caller.others.length === 1)
    expect(caller.others[0]!.frame.kind).to.equal(FrameKind.heartbeatReply)
    expect(application.heartbeats).to.equal(0)
  })

  it('Dubbo goes to another connection when its provider says that it is read-only', async () => {
    const codec = new DubboCodec()
    await start(codec, 'shop.Orders', () => dubboReply(0, 'done'))
    await caller.call(dubboRequest('shop.Orders', 'place'))
    for (const socket of application.sockets) socket.write(codec.goAway())
    await eventually(() => application.sockets.size === 0)
    expect((await caller.call(dubboRequest('shop.Orders', 'place'))).frame.status).to.equal(200)
  })

  it('Dubbo in a serialization that cannot be read reaches the service of its port', async () => {
    const codec = new DubboCodec()
    await start(codec, 'shop.Orders', () => dubboFrame({ flags: 0x17, status: 20, body: Buffer.from([1, 2]) }))
    const foreign = dubboFrame({ flags: 0xd7, body: Buffer.from([0, 0, 0, 1, 0x55]) })
    const own = await RpcCaller.connect(codec, mesh.port('shop.Orders'))
    expect((await own.call(foreign)).frame.status).to.equal(200)
    own.close()
    expect((await caller.call(foreign)).frame.code).to.equal(40)
  })

  it('Thrift has calls by its multiplexed name, and a TApplicationException for what fails', async () => {
    const codec = new ThriftCodec()
    await start(codec, 'Orders', () => thriftFrame(binaryMessage(2, 'place', 0, Buffer.from([0]))))
    const call = (service: string): Buffer => thriftFrame(binaryMessage(1, `${service}:place`, 1, Buffer.from([0])))
    expect((await caller.call(call('Orders'))).frame.status).to.equal(200)
    expect(application.requests[0]!.bytes.toString('latin1')).to.include('Orders:place')
    const failed = await caller.call(call('nobody'))
    expect(failed.frame.code).to.equal(3)
    expect(failed.bytes.toString('latin1')).to.include('E_BALANCE_NO_ENDPOINT')
  })

  it('Thrift without a service in its name reaches the service of its port, in THeader as well', async () => {
    const codec = new ThriftCodec()
    await start(codec, 'Orders', ({ frame }) =>
      frame.form === 0
        ? thriftFrame(binaryMessage(2, 'place', 0, Buffer.from([0])))
        : headerFrame(0, 2, [], compactMessage(2, 'place', 1, Buffer.from([0]))),
    )
    const own = await RpcCaller.connect(codec, mesh.port('Orders'))
    const plain = thriftFrame(binaryMessage(1, 'place', 1, Buffer.from([0])))
    const compact = headerFrame(4, 2, [['k', 'v']], compactMessage(1, 'place', 1, Buffer.from([0])))
    const answers = await Promise.all([plain, compact, plain, compact].map((request) => own.call(request)))
    expect(answers.map(({ frame }) => [frame.form, frame.status])).to.deep.equal([
      [0, 200],
      [2, 200],
      [0, 200],
      [2, 200],
    ])
    own.close()
  })

  it('Thrift in the compact protocol has each call under its own id, however long that is', async () => {
    const codec = new ThriftCodec()
    const content = Buffer.from([0])
    await start(codec, 'shop', () => thriftFrame(compactMessage(2, 'place', 1, content)))
    for (const id of [1, 127, 128, 70_000, 0x7f_ff_ff_ff]) {
      const before = caller.others.length
      caller.socket.write(thriftFrame(compactMessage(1, 'shop:place', id, content)))
      await eventually(() => caller.others.length === before + 1)
      const { bytes, frame } = caller.others.at(-1)!
      expect([frame.idLow, frame.status]).to.deep.equal([id, 200])
      expect(bytes.equals(thriftFrame(compactMessage(2, 'place', id, content)))).to.equal(true)
    }
    const failed = await caller.call(thriftFrame(compactMessage(1, 'nobody:place', 300, content)))
    expect(failed.bytes.toString('latin1')).to.include('E_BALANCE_NO_ENDPOINT')
  })
})
