/** `protocol: auto`: one port for every protocol whose callers speak first. */
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
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
import { dubboReply, dubboRequest } from '../../support/rpc/dubbo-frames.ts'
import { mainstayDescription, mainstayFrame, mainstayRequest } from '../../support/rpc/mainstay.ts'
import { RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import type { RpcApplication } from '../../support/rpc/far-sides.ts'
import { binaryMessage, thriftFrame } from '../../support/rpc/thrift-frames.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const description = mainstayDescription()
const empty = Buffer.from([0])
const spoken: readonly (readonly [RpcCodec, Buffer, Buffer])[] = [
  [new BoltCodec(), boltRequest('bolt', 'm'), boltFrame({ type: 0, className: 'R' })],
  [new DubboCodec(), dubboRequest('dubbo', 'm'), dubboReply(0, 'done')],
  [
    new ThriftCodec(),
    thriftFrame(binaryMessage(1, 'thrift:m', 1, empty)),
    thriftFrame(binaryMessage(2, 'm', 1, empty)),
  ],
  [new DeclaredCodec('mainstay', description), mainstayRequest('mainstay', 'm'), mainstayFrame({ type: 3 })],
]

describe('a port that finds out what its callers speak', () => {
  let mesh: StartedWorker
  let web: http.Server
  const applications: RpcApplication[] = []

  before(async () => {
    web = http.createServer((_request, response) => response.end('web'))
    web.listen(0, '127.0.0.1')
    await once(web, 'listening')
    for (const [codec, , reply] of spoken) applications.push(await startApplication(codec, () => Buffer.from(reply)))
    const at = (port: number) => [{ address: '127.0.0.1', port }]
    mesh = await startWorker({
      services: [
        { name: 'web', endpoints: at((web.address() as net.AddressInfo).port) },
        ...spoken.map(([{ name }], index) => ({
          name,
          protocol: name as RpcProtocol,
          endpoints: at(applications[index]!.port),
        })),
      ],
      rpc: { auto: { address: '127.0.0.1', port: 0 } },
      mesh: { rpcProtocols: { mainstay: description } },
    })
  })

  after(async () => {
    mesh.stop()
    web.close()
    for (const application of applications) await application.close()
  })

  for (const [codec, request] of spoken) {
    it(`serves ${codec.name}, also when its first bytes come one by one`, async () => {
      const caller = await RpcCaller.connect(codec, mesh.port('auto'))
      expect((await caller.call(request)).frame.status).to.equal(200)
      caller.close()
      const slow = net.connect(mesh.port('auto'), '127.0.0.1')
      slow.setNoDelay(true)
      await once(slow, 'connect')
      for (const byte of request.subarray(0, 12)) {
        slow.write(Buffer.from([byte]))
        await new Promise((resolve) => setImmediate(resolve))
      }
      slow.write(request.subarray(12))
      const [reply] = (await once(slow, 'data')) as [Buffer]
      expect(codec.measure(reply, 0, reply.length, 100_000)).to.equal(reply.length)
      slow.destroy()
    })
  }

  it('serves HTTP/1.1 and HTTP/2 by Host', async () => {
    const answer = await fetch(`http://127.0.0.1:${mesh.port('auto')}/`, { headers: { 'x-mesh-service': 'web' } })
    expect(await answer.text()).to.equal('web')
    const client = http2.connect(`http://127.0.0.1:${mesh.port('auto')}`)
    const stream = client.request({ ':path': '/', 'x-mesh-service': 'web' })
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    expect(Number(headers[':status'])).to.equal(200)
    client.destroy()
  })

  it('closes what is none of them, and says so', async () => {
    const before = mesh.metric('hostmesh_undetected_protocols_total')
    for (const bytes of [Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1]), Buffer.alloc(100), Buffer.from([0xff])]) {
      const socket = net.connect(mesh.port('auto'), '127.0.0.1')
      socket.on('error', () => {})
      socket.resume()
      socket.write(bytes)
      await closing(socket)
    }
    expect(mesh.metric('hostmesh_undetected_protocols_total') - before).to.equal(3)
    expect(mesh.logged.filter((line) => line.includes('begins in no protocol')).length).to.equal(3)
  })
})
