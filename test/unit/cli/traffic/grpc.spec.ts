/** A steady caller that speaks gRPC, against a real server and one that breaks connections off. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect } from 'chai'
import { type DemoApplication } from '../../../../cli/traffic/applications.ts'
import { grpcAnswers, startGrpcApplication, startGrpcCaller } from '../../../../cli/traffic/grpc.ts'
import type { Caller } from '../../../../cli/traffic/callers.ts'
import { eventually } from '../../../support/worker/eventually.ts'

const rate = 100

describe('a steady caller in gRPC', () => {
  let application: DemoApplication
  let caller: Caller | undefined

  before(async () => {
    application = await startGrpcApplication('prices', 'v1', '127.0.0.1')
  })
  after(() => application.close())
  afterEach(() => caller?.stop())

  const callsOf = (port: number): Caller =>
    (caller = startGrpcCaller({
      from: 'a',
      to: 'prices',
      address: '127.0.0.1',
      port,
      rate,
      now: () => performance.now(),
    }))

  it('is answered, and knows the version', async () => {
    await grpcAnswers('127.0.0.1', application.port)
    const { tally } = callsOf(application.port)
    await eventually(() => tally.since(0).calls >= 3)
    expect(tally.since(0)).to.deep.include({ errors: 0, versions: { v1: tally.since(0).calls } })
  })

  it('loses no call that was not sent when connections break before their first frame', async () => {
    let broken = 0
    const breaks = createServer((socket) => {
      socket.once('data', () => {
        broken++
        socket.resetAndDestroy()
      })
    })
    await once(breaks.listen(0, '127.0.0.1'), 'listening')
    const { port } = breaks.address() as AddressInfo
    const { tally } = callsOf(port)
    await eventually(() => broken >= 2)
    expect(tally.since(0).reasons).to.deep.equal({})
    breaks.close()
    await once(breaks, 'close')
  })
})
