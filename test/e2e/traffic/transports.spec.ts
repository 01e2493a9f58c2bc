/**
 * Each way of serving sockets, in a real worker: what it says of itself, and a little of everything that a connection
 * can do.
 */
import { expect } from 'chai'
import { createServer as createHttpServer, request } from 'node:http'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'

import type { StatsDump } from '../../../contracts/control-link.ts'
import { freePort } from '../../support/free-port.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { snapshotOf } from '../../support/worker/snapshots.ts'
import { WorkerProcess } from '../../support/worker/worker-process.ts'
import type { HowToRun } from '../../support/worker/worker-process.ts'

const big = Buffer.alloc(3 * 1024 * 1024, 'large reply. ')

const cases: readonly (HowToRun & { readonly serves: string; readonly log: RegExp })[] = [
  { transport: 'auto', serves: 'epoll', log: /"level":"info".*"transport epoll: the self-test passed/ },
  { transport: 'raw', serves: 'raw', log: /"level":"info".*"transport raw: as configured/ },
  { transport: 'public', serves: 'public', log: /"level":"info".*"transport public: as configured/ },
  {
    transport: 'auto',
    confinement: 'refuse-send',
    serves: 'raw',
    log: /"level":"info".*"transport raw: epoll: the self-test failed: /,
  },
  {
    transport: 'epoll',
    confinement: 'kill-send',
    serves: 'raw',
    log: /"level":"warn".*"transport raw: epoll: the self-test died of SIGSYS/,
  },
]

for (const { log, serves, ...how } of cases) {
  const name = `a worker told ${how.transport}${how.confinement === undefined ? '' : ` that is confined (${how.confinement})`}`
  describe(name, function () {
    this.timeout(60_000)
    let http: Server
    let tcp: Server
    let worker: WorkerProcess
    const ports = { http: 0, tcp: 0 }

    before(async () => {
      http = createHttpServer((asked, answer) => {
        if (asked.url === '/big') answer.writeHead(200, { 'content-length': big.length }).end(big)
        else asked.pipe(answer)
      })
      tcp = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => {})
        socket.pipe(socket)
      })
      const services = []
      const listen: Record<string, { address: string; port: number }> = {}
      for (const [protocol, server] of [
        ['http', http],
        ['tcp', tcp],
      ] as const) {
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
        ports[protocol] = await freePort()
        listen[protocol] = { address: '127.0.0.1', port: ports[protocol] }
        const endpoints = [{ address: '127.0.0.1', port: (server.address() as AddressInfo).port }]
        services.push({ name: protocol, protocol, endpoints })
      }
      worker = await WorkerProcess.start(snapshotOf({ services, listen }), [], how)
    })

    after(async () => {
      await worker?.stop()
      http.close()
      tcp.close()
    })

    const ask = (method: string, path: string, body?: Buffer) =>
      new Promise<Buffer>((resolve, reject) => {
        const sent = request({ host: '127.0.0.1', port: ports.http, method, path, agent: false }, (answer) => {
          const parts: Buffer[] = []
          answer.on('data', (part: Buffer) => parts.push(part))
          answer.on('end', () => resolve(Buffer.concat(parts)))
          answer.on('error', reject)
        })
        sent.on('error', reject)
        sent.end(body)
      })

    it(`serves by ${serves}, and says so in metric and log`, async () => {
      const { series } = (await worker.ask({ kind: 'stats' })) as StatsDump
      const found = series.find((one) => one.name === 'hostmesh_worker_transport')
      expect(found?.samples).to.deep.equal([{ labels: [serves], value: 1 }])
      await eventually(() => log.test(worker.log()))
    })

    it('passes a large reply, a large upload, and many at once', async () => {
      expect((await ask('GET', '/big')).equals(big)).to.equal(true)
      expect((await ask('POST', '/', big)).equals(big)).to.equal(true)
      const texts = await Promise.all(
        Array.from({ length: 60 }, (_, index) => ask('POST', '/', Buffer.from(`request ${index}`))),
      )
      expect(texts.map(String)).to.deep.equal(texts.map((_, index) => `request ${index}`))
    })

    it('passes bytes of a TCP connection both ways, and its half-close', async () => {
      const answer = await new Promise<Buffer>((resolve, reject) => {
        const socket = connect({ port: ports.tcp, host: '127.0.0.1', allowHalfOpen: true })
        const parts: Buffer[] = []
        socket.on('data', (part: Buffer) => parts.push(part))
        socket.on('end', () => resolve(Buffer.concat(parts)))
        socket.on('error', reject)
        socket.end(big)
      })
      expect(answer.equals(big)).to.equal(true)
    })
  })
}
