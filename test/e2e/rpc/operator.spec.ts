/** What an operator sees and does of requests in private RPC. */
import { expect } from 'chai'

import type { ConnectionsAnswer, StreamFilter, StreamsAnswer } from '../../../contracts/live-view.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { encodeProxyV2 } from '../../../contracts/proxy-protocol.ts'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import { FrameKind } from '../../../rpc/frame.ts'
import { boltFrame, boltRequest } from '../../support/rpc/bolt-frames.ts'
import { afterWork, RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import type { RpcApplication } from '../../support/rpc/far-sides.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const codec = new BoltCodec()

describe('requests in private RPC', () => {
  let mesh: StartedWorker
  let caller: RpcCaller
  let application: RpcApplication
  let answers: ((reply: Buffer) => void)[] = []

  beforeEach(async () => {
    answers = []
    application = await startApplication(codec, () => new Promise((resolve) => answers.push(resolve)))
    const endpoints = [{ address: '127.0.0.1', port: application.port }]
    mesh = await startWorker({
      services: [{ name: 'shop.Orders', protocol: 'bolt' as RpcProtocol, endpoints }],
      rpc: { bolt: { address: '127.0.0.1', port: 0 } },
    })
    caller = await RpcCaller.connect(codec, mesh.port('bolt'))
  })

  afterEach(async () => {
    caller.close()
    mesh.stop()
    await application.close()
  })

  const reply = (): Buffer => boltFrame({ type: 0, className: 'R' })
  const ask = (kind: 'streams' | 'close-streams', filter: StreamFilter = {}): StreamsAnswer =>
    mesh.worker.answer({ kind, filter }) as StreamsAnswer

  it('are listed one by one, and one is ended with an error of the protocol while the others go on', async () => {
    const calls = ['place', 'refund'].map((method) => caller.call(boltRequest('shop.Orders', method)))
    await eventually(() => answers.length === 2)
    const { streams, total } = ask('streams')
    expect([total, streams.map(({ path }) => path)]).to.deep.equal([2, ['/shop.Orders/place', '/shop.Orders/refund']])
    expect(streams[0]).to.deep.include({
      protocol: 'bolt',
      state: 'sent',
      service: 'public/DEFAULT_GROUP@@shop.Orders',
    })
    expect(streams[0]!.id).to.not.equal(streams[1]!.id)
    expect(ask('close-streams', { ids: [streams[0]!.id] }).total).to.equal(1)
    const ended = await calls[0]!
    expect(codec.attribute(ended.bytes, 0, ended.frame, 'x-mesh-error')).to.equal('E_ENDED_BY_OPERATOR')
    for (const answer of answers) answer(reply())
    expect((await calls[1]!).frame.status).to.equal(200)
    expect(ask('streams').total).to.equal(0)
  })

  it('and their connections are listed under the address that a proxy before us has told', async () => {
    const spec = mesh.worker.state.listeners.get('bolt')!
    await mesh.change({ listeners: { behind: { ...spec, name: 'behind', proxyProtocol: 'required' } } })
    const relayed = await RpcCaller.connect(codec, mesh.port('behind'))
    const source = { address: '10.1.2.3', port: 4567 }
    relayed.socket.write(encodeProxyV2({ command: 'proxy', source, destination: source, tlvs: [] }))
    void relayed.call(boltRequest('shop.Orders', 'place'))
    await eventually(() => answers.length === 1)
    const filter = { listener: 'behind' }
    const { connections } = mesh.worker.answer({ kind: 'connections', filter }) as ConnectionsAnswer
    const peers = [...connections, ...ask('streams', filter).streams].map(({ peer }) => peer)
    expect(peers).to.deep.equal(['10.1.2.3:4567', '10.1.2.3:4567'])
    relayed.close()
  })

  it('of a connection that always has some are answered when an operator ends it, and no others are begun', async () => {
    let answered = 0
    const lane = async (): Promise<void> => {
      while ((await caller.send(boltRequest('shop.Orders', 'place'))) !== 'closed') answered++
    }
    const lanes = [1, 2, 3, 4].map(lane)
    const serving = (async () => {
      while (!caller.isClosed) {
        await eventually(() => answers.length > 0 || caller.isClosed)
        answers.shift()?.(await afterWork(5, reply()))
      }
    })()
    await eventually(() => answered > 20)
    mesh.worker.answer({ kind: 'close-connections', filter: { protocol: 'rpc' }, how: 'end' })
    await Promise.all([...lanes, serving])
    expect(application.requests.length).to.equal(answered)
  })

  it('of a connection that an operator ends are answered, after a goaway', async () => {
    const call = caller.call(boltRequest('shop.Orders', 'place'))
    await eventually(() => answers.length === 1)
    mesh.worker.answer({ kind: 'close-connections', filter: { protocol: 'rpc' }, how: 'end' })
    await eventually(() => caller.others.some(({ frame }) => frame.kind === FrameKind.goAway))
    expect(caller.isClosed).to.equal(false)
    answers[0]!(reply())
    expect((await call).frame.status).to.equal(200)
    await eventually(() => caller.isClosed)
  })
})
