import * as grpc from '@grpc/grpc-js'
import { expect } from 'chai'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import type { CheckSpec } from '../../../../../../agent/control/host/applications/application.ts'
import { countedProbe, probe, probeOwn } from '../../../../../../agent/control/host/applications/probe.ts'
import { changeProtocol, startHostileServer } from '../../../../../support/hostile-server.ts'

const times = { intervalMs: 1000, timeoutMs: 200, healthyThreshold: 1, unhealthyThreshold: 1 }

describe('the check of a local application', () => {
  const servers: Server[] = []
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
  })

  async function listening(server: Server): Promise<number> {
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }

  async function look(spec: CheckSpec, port: number): Promise<string> {
    try {
      await probe(spec, { address: '127.0.0.1', port })
      return 'good'
    } catch (error) {
      return (error as Error).message
    }
  }

  it('by TCP is good when something listens', async () => {
    const server = createServer((socket) => socket.end())
    const port = await listening(server)
    expect(await look({ kind: 'tcp', ...times }, port)).to.equal('good')
    await new Promise((resolve) => servers.pop()!.close(resolve))
    expect(await look({ kind: 'tcp', ...times }, port)).to.equal('ECONNREFUSED')
  })

  it('by HTTP is good for 2xx only, and does not wait for a body without end', async () => {
    const port = await listening(
      createHttpServer((request, response) => {
        if (request.url === '/endless') {
          response.writeHead(200)
          response.write('x')
          return
        }
        if (request.url === '/silent') return
        response.writeHead(Number(request.url?.slice(1))).end()
      }),
    )
    const path = (path: string) => look({ kind: 'http', path, ...times }, port)
    expect(await path('/204')).to.equal('good')
    expect(await path('/endless')).to.equal('good')
    expect(await path('/302')).to.equal('GET /302 answered 302, allowed 200 to 299')
    expect(await path('/503')).to.contain('503')
    expect(await path('/silent')).to.equal('no answer after 200 ms')
  })

  it('by HTTP is bad where the application changes the protocol', async () => {
    const server = await startHostileServer(changeProtocol)
    const said = await look({ kind: 'http', path: '/', ...times, timeoutMs: 60_000 }, server.port)
    expect(said).to.equal('the connection ended without an answer')
    await server.stop()
  })

  it('is bad at a port where another user listens than the one that announced it, and does not touch it', async () => {
    const touched: number[] = []
    const owned = probeOwn(
      (_spec, { port }) => {
        touched.push(port)
        return Promise.resolve()
      },
      (_address, port) => (port === 1 ? undefined : port),
    )
    const at = (port: number, listenerUser?: number): Promise<string> =>
      owned({ kind: 'tcp', ...times }, { address: '127.0.0.1', port, listenerUser }).then(
        () => 'good',
        (error: Error) => error.message,
      )
    expect(await at(4201, 4201)).to.equal('good')
    expect(await at(1, 4201), 'nobody: the look itself will tell').to.equal('good')
    expect(await at(4202)).to.equal('good')
    expect(await at(4203, 4201)).to.equal('user 4203 listens there, not user 4201, who announced it')
    expect(touched).to.deep.equal([4201, 1, 4202])
  })

  it('by HTTP is bad when something else than HTTP answers', async () => {
    const port = await listening(
      createServer((socket) =>
        socket
          .on('error', () => undefined)
          .resume()
          .end('SSH-2.0-x\r\n'),
      ),
    )
    expect(await look({ kind: 'http', path: '/', ...times }, port)).to.contain('HPE_')
  })

  it('by gRPC asks the health protocol, for one service or the whole server', async () => {
    const statuses: Record<string, number> = { '': 1, 'shop.Orders': 1, 'shop.Broken': 2 }
    const server = new grpc.Server()
    server.addService(
      {
        Check: {
          path: '/grpc.health.v1.Health/Check',
          requestStream: false,
          responseStream: false,
          requestSerialize: (value: Buffer) => value,
          requestDeserialize: (value: Buffer) => value,
          responseSerialize: (value: Buffer) => value,
          responseDeserialize: (value: Buffer) => value,
        },
      },
      {
        Check: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
          const name = call.request.length === 0 ? '' : call.request.subarray(2).toString()
          const status = statuses[name]
          if (status === undefined) answer({ code: grpc.status.NOT_FOUND, details: 'unknown service' })
          else answer(null, Buffer.from([0x08, status]))
        },
      },
    )
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    )
    const service = (service: string) => look({ kind: 'grpc', service, ...times, timeoutMs: 1000 }, port)
    expect(await service('')).to.equal('good')
    expect(await service('shop.Orders')).to.equal('good')
    expect(await service('shop.Broken')).to.equal('health is NOT_SERVING')
    expect(await service('shop.None')).to.equal('NOT_FOUND: unknown service')
    server.forceShutdown()
  })

  it('is counted by how it ended, which its caller hears as it is', async () => {
    const ends: boolean[] = []
    const port = await listening(createServer())
    const counted = countedProbe(probe, (isGood) => ends.push(isGood))
    await counted({ ...times, kind: 'tcp' }, { address: '127.0.0.1', port })
    const refused = counted({ ...times, kind: 'tcp' }, { address: '127.0.0.1', port: 1 })
    expect(await refused.catch((error: Error) => error.message)).to.contain('ECONNREFUSED')
    expect(ends).to.deep.equal([true, false])
  })
})
