import { expect } from 'chai'
import { once } from 'node:events'
import { Agent, createServer, get, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { StreamFilter, StreamsAnswer } from '../../../../../contracts/live-view.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker, type StartedWorker } from '../../../../support/worker/start-worker.ts'

describe('requests in flight of HTTP/1.1', () => {
  const waiting: ServerResponse[] = []
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let application: Server
  let started: StartedWorker
  before(async () => {
    application = createServer((_request, response) => waiting.push(response)).listen(0, '127.0.0.1')
    await once(application, 'listening')
    const { port } = application.address() as AddressInfo
    started = await startWorker({ services: [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port }] }] })
  })
  after(() => {
    agent.destroy()
    started.stop()
    application.closeAllConnections()
    application.close()
  })

  const ask = (kind: 'streams' | 'close-streams', filter: StreamFilter = {}): StreamsAnswer =>
    started.worker.answer({ kind, filter }) as StreamsAnswer
  const call = (): Promise<number> =>
    new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port: started.port('orders'), agent }, (reply) => {
        reply.resume().on('end', () => resolve(reply.statusCode!))
      }).on('error', reject)
    })
  const nextId = async (): Promise<string> => {
    await eventually(() => waiting.length === 1 && ask('streams').total === 1)
    return ask('streams').streams[0]!.id
  }

  it('are told apart on one connection: an order to end one that is over ends no other', async () => {
    const first = call()
    const id = await nextId()
    waiting.pop()!.end()
    expect(await first).to.equal(200)
    const second = call()
    const next = await nextId()
    expect(next.split('-').slice(0, 2), 'the connection').to.deep.equal(id.split('-').slice(0, 2))
    expect(ask('close-streams', { ids: [id] }).total).to.equal(0)
    waiting.pop()!.end()
    expect(await second).to.equal(200)
  })
})
