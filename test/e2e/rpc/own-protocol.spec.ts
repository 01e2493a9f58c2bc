/** A private RPC that nobody here knows but by its description (`examples/rpc/mainstay.yaml`). */
import { expect } from 'chai'

import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { DeclaredCodec } from '../../../rpc/declared/declared.ts'
import { mainstayDescription, mainstayFrame, mainstayRequest } from '../../support/rpc/mainstay.ts'
import { RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import type { RpcApplication } from '../../support/rpc/far-sides.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const description = mainstayDescription()
const codec = new DeclaredCodec('mainstay', description)
const mainstay = 'mainstay' as RpcProtocol
const anyPort = { address: '127.0.0.1', port: 0 }

describe('a caller in a described protocol', () => {
  let mesh: StartedWorker
  let orders: RpcApplication
  let caller: RpcCaller
  /** The held request. */
  let answer: (reply: Buffer) => void

  const start = (settings: NonNullable<Parameters<typeof startWorker>[0]['mesh']>): Promise<StartedWorker> =>
    startWorker({
      services: [
        { name: 'orders', protocol: mainstay, endpoints: [{ address: '127.0.0.1', port: orders.port }] },
        { name: 'nobody', protocol: mainstay, endpoints: [] },
      ],
      rpc: { mainstay: anyPort },
      mesh: settings,
    })

  beforeEach(async () => {
    orders = await startApplication(codec, ({ bytes, frame }) =>
      bytes.includes('hold')
        ? new Promise((resolve) => (answer = resolve))
        : mainstayFrame({ type: 3, content: bytes.subarray(frame.tableTo) }),
    )
    mesh = await start({ rpcProtocols: { mainstay: description }, tracing: { createMissing: true, sampledShare: 1 } })
    caller = await RpcCaller.connect(codec, mesh.port('mainstay'))
  })

  afterEach(async () => {
    caller.close()
    mesh.stop()
    await orders.close()
  })

  it('reaches services by their names, with a trace, and everything else as it was', async () => {
    const content = Buffer.from('the arguments')
    const reply = await caller.call(mainstayRequest('orders', 'place', { content, attributes: [['k', 'v']] }))
    expect(reply.bytes.subarray(-content.length).equals(content)).to.equal(true)
    const [{ bytes, frame }] = orders.requests as [(typeof orders.requests)[0]]
    expect(codec.attribute(bytes, 0, frame, 'traceparent')).to.match(/^00-/)
    expect(codec.attribute(bytes, 0, frame, 'k')).to.equal('v')
    await eventually(() => mesh.metric('istio_requests_total', 'mainstay', '200') === 1)
  })

  it('calls the address of its own fallback attribute where the mesh knows no instance, and nowhere else', async () => {
    const { attributes, ...rest } = description
    const described = { ...rest, attributes: { ...attributes, fallback: 'Old-IP' } }
    mesh.stop()
    mesh = await start({ rpcProtocols: { mainstay: described }, fallbackNetworks: ['127.0.0.0/8'] })
    const own = await RpcCaller.connect(codec, mesh.port('mainstay'))
    const ask = async (service: string, name: string, address: string): Promise<string | undefined> => {
      const { bytes, frame } = await own.call(mainstayRequest(service, 'm', { attributes: [[name, address]] }))
      return frame.status === 200 ? 'answered' : codec.attribute(bytes, 0, frame, 'x-mesh-error')
    }
    expect(await ask('nobody', 'old-ip', `127.0.0.1:${orders.port}`)).to.equal('answered')
    expect(orders.requests).to.have.length(1)
    expect(await ask('nobody', 'old-ip', '10.1.1.1:80')).to.equal('E_ROUTE_FALLBACK_REFUSED')
    expect(await ask('nobody', 'x-mesh-fallback', `127.0.0.1:${orders.port}`)).to.equal('E_BALANCE_NO_ENDPOINT')
    expect(await ask('orders', 'old-ip', '10.1.1.1:80')).to.equal('answered')
    own.close()
  })

  it('gets errors in the words of its protocol', async () => {
    const { bytes, frame } = await caller.call(mainstayRequest('nobody', 'place'))
    expect(frame.code).to.equal(5)
    expect(codec.attribute(bytes, 0, frame, 'x-mesh-error')).to.equal('E_BALANCE_NO_ENDPOINT')
    expect(codec.attribute(bytes, 0, frame, 'x-mesh-reason')).to.include('nobody')
  })

  it('is answered its heartbeats', async () => {
    caller.socket.write(mainstayFrame({ type: 4, id: 99 }))
    await eventually(() => caller.others.length === 1)
    expect(caller.others[0]!.frame.idLow).to.equal(99)
  })

  it('speaks by the new description on new connections, when it changed; former ones end behind their replies', async () => {
    await caller.call(mainstayRequest('orders', 'place'))
    const resting = await RpcCaller.connect(codec, mesh.port('mainstay'))
    await resting.call(mainstayRequest('orders', 'place'))
    const before = orders.requests.length
    const owed = caller.call(mainstayRequest('orders', 'hold'))
    await eventually(() => orders.requests.length > before)
    const later = { ...description, status: { ...description.status, http: { 9: 503 } } }
    await mesh.change({ mesh: { ...mesh.worker.state.mesh, rpcProtocols: { mainstay: later } } })
    await eventually(() => resting.isClosed)
    const late = caller.send(mainstayRequest('orders', 'place'))
    answer(mainstayFrame({ type: 3 }))
    expect((await owed).frame.code).to.equal(0)
    expect(await late, 'never begun in two descriptions').to.equal('closed')
    const next = await RpcCaller.connect(codec, mesh.port('mainstay'))
    expect((await next.call(mainstayRequest('nobody', 'place'))).frame.code).to.equal(9)
    expect((await next.call(mainstayRequest('orders', 'place'))).frame.code).to.equal(0)
    next.close()
  })
})
