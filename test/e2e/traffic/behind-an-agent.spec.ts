/**
 * Two instances of a service, one behind its agent and one plain: being meshed never makes the death or the restart of
 * an application worse for its callers.
 */
import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'
import { expect } from 'chai'

import { defaultRetry } from '../../../agent/control/core/rules/retry-words.ts'
import { metadataKeys } from '../../../contracts/endpoint.ts'
import { freePort } from '../../support/free-port.ts'
import { RawCaller } from '../../support/http1/raw-caller.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const shutMs = 850
const methods = ['GET', 'POST', 'PUT', 'PATCH']

/** An application that can be killed, and stopped as a well-behaved one: its last answers close their connections. */
class Application {
  readonly port: number
  executed = 0
  reply: (response: ServerResponse) => void = (response) => void response.end('done')
  private server: Server | undefined

  constructor(port: number) {
    this.port = port
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      request.resume()
      request.on('end', () => {
        this.executed++
        if (!server.listening) response.setHeader('connection', 'close')
        this.reply(response)
      })
    })
    // beyond the life of the test: the agents close connections, not the application
    server.keepAliveTimeout = 120_000
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve))
    this.server = server
  }

  kill(): void {
    this.server?.close()
    this.server?.closeAllConnections()
  }

  /** Resolves when every connection has ended. */
  async stop(): Promise<void> {
    const { server } = this
    await new Promise<void>((resolve) => {
      // not `close` of node:http, which also cuts connections that seem idle while a request is on its way
      ;(Object.getPrototypeOf(Object.getPrototypeOf(server)) as { close: Server['close'] }).close.call(server!, () =>
        resolve(),
      )
    })
  }
}

describe('an application behind its agent, beside a plain one', function () {
  this.timeout(60_000)
  let meshed: Application
  let plain: Application
  let inbound: StartedWorker
  let caller: StartedWorker

  beforeEach(async () => {
    meshed = new Application(await freePort())
    plain = new Application(await freePort())
    await Promise.all([meshed.start(), plain.start()])
    const at = { address: '127.0.0.1' }
    inbound = await startWorker({
      services: [{ name: 'local', endpoints: [{ ...at, port: meshed.port }] }],
    })
    const metadata = { [metadataKeys.inbound]: 'true' }
    caller = await startWorker({
      services: [
        {
          name: 'orders',
          endpoints: [
            { ...at, port: inbound.port('local'), metadata },
            { ...at, port: plain.port },
          ],
          policy: { loadBalancer: { kind: 'round-robin' } },
          route: { retry: defaultRetry },
        },
      ],
    })
  })

  afterEach(() => {
    caller.stop()
    inbound.stop()
    meshed.kill()
    plain.kill()
  })

  /** Calls one after the other on one connection; answers the heads of what was not 200. */
  async function call(isOver: (count: number) => boolean, of = methods): Promise<{ count: number; failed: string[] }> {
    const one = await RawCaller.open(caller.port('orders'))
    const failed: string[] = []
    let count = 0
    while (!isOver(count)) {
      const from = one.text.length
      one.send(`${of[count++ % of.length]} /pay HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\n\r\nhello`)
      const answer = () =>
        /^HTTP\/1\.1 (\d+) [^]*?\r\n\r\n(?:0\r\n\r\n|done|E_.*\n|[^]*0\r\n\r\n)/.exec(one.text.slice(from))
      if (!(await one.until(() => answer() !== null || one.isOver))) throw new Error('no answer')
      if (answer()?.[1] !== '200') failed.push(one.text.slice(from))
    }
    one.close()
    return { count, failed }
  }

  it('fails no call when it is killed, whatever the method, and is reported at once', async () => {
    expect((await call((count) => count === 8)).failed).to.deep.equal([])
    meshed.kill()
    const { failed } = await call((count) => count === 60)
    expect(failed).to.deep.equal([])
    expect(caller.metric('hostmesh_undelivered_total')).to.be.greaterThan(0)
    expect(inbound.refused[0]).to.equal(`127.0.0.1:${meshed.port}`)
  })

  it(`loses no call at a rolling restart with each port shut for ${shutMs} ms`, async () => {
    let isOver = false
    const calls = Array.from({ length: 6 }, () => call(() => isOver))
    for (const application of [meshed, plain]) {
      await application.stop()
      await new Promise((resolve) => setTimeout(resolve, shutMs))
      await application.start()
      const before = application.executed
      await eventually(() => application.executed > before)
    }
    isOver = true
    const results = await Promise.all(calls)
    expect(results.flatMap(({ failed }) => failed)).to.deep.equal([])
    expect(results.reduce((sum, { count }) => sum + count, 0)).to.be.greaterThan(100)
  })

  for (const which of ['meshed', 'plain'] as const)
    it(`that breaks off without a reply has its GETs repeated at the other one, and no POST (${which})`, async () => {
      const application = which === 'meshed' ? meshed : plain
      application.reply = (response) => void response.socket!.resetAndDestroy()
      expect((await call((count) => count === 8, ['GET'])).failed).to.deep.equal([])
      expect(application.executed).to.be.greaterThan(0)
      const before = meshed.executed + plain.executed
      const { failed } = await call((count) => count === 8, ['POST', 'PATCH'])
      expect(failed).to.have.length(4)
      for (const answer of failed) expect(answer).to.match(/^HTTP\/1\.1 502 [^]*x-mesh-error: E_UPSTREAM_RESET\r\n/)
      expect(meshed.executed + plain.executed - before).to.equal(8)
    })

  for (const which of ['meshed', 'plain'] as const)
    it(`cannot have a request repeated that it got, by saying that it did not (${which})`, async () => {
      const application = which === 'meshed' ? meshed : plain
      application.reply = (response) => {
        response.writeHead(503, { 'x-mesh-error': 'E_CONNECT_REFUSED' })
        response.end('done')
      }
      const { failed } = await call((count) => count === 8)
      expect(failed).to.have.length(4)
      expect(failed.join('')).to.not.include('x-mesh-error')
      expect([meshed.executed, plain.executed]).to.deep.equal([4, 4])
      expect(caller.metric('hostmesh_undelivered_total')).to.equal(0)
    })

  it('passes the word of the agent on where nobody else is left', async () => {
    meshed.kill()
    plain.kill()
    const { failed } = await call((count) => count === 2)
    for (const answer of failed) expect(answer).to.match(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_CONNECT_REFUSED\r\n/)
  })
})
