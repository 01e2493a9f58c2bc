import { rmSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import net from 'node:net'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import { systemClock } from '../../../../contracts/clock.ts'
import { MeshError } from '../../../../contracts/errors.ts'
import { ApplicationMesh } from '../../../../sdk/mesh.ts'
import { freePort } from '../../../support/free-port.ts'
import { SdkBench } from '../../../support/sdk/sdk-bench.ts'
import { discovery, serviceAt } from '../../../support/sdk/stand-in-agent.ts'
import { eventually } from '../../../support/worker/eventually.ts'

interface Far {
  readonly at: string
  /** `METHOD body` of each request that came whole; bodies of more than 100 bytes by their length. */
  readonly seen: string[]
  close(): Promise<void>
}

type Handle = (incoming: IncomingMessage, outgoing: ServerResponse) => void

/** Answers the question for life by itself. */
async function startFar(handle: Handle): Promise<Far> {
  const seen: string[] = []
  const server = createServer((incoming, outgoing) => {
    if (incoming.url === '/.hostmesh/probe') {
      outgoing.end()
      return
    }
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('error', () => undefined)
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      seen.push(`${incoming.method} ${body.length > 100 ? body.length : body.toString()}`)
      handle(incoming, outgoing)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    at: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    seen,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('calls over HTTP by the SDK', () => {
  const bench = new SdkBench({ maxCalls: 5 })
  const open = (): Promise<void> => bench.open()
  const far = async (handle: Handle): Promise<Far> => bench.with(await startFar(handle))
  const good = (text: string) => far((_incoming, outgoing) => void outgoing.end(text))
  const textOf = async (init?: RequestInit): Promise<string> => (await bench.mesh.fetch('http://orders/a', init)).text()
  const causeOf = async (call: Promise<unknown>): Promise<unknown> => {
    const error = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).to.be.instanceOf(Error)
    return (error as Error).cause ?? error
  }

  it('asks the agent, and tells it whom in Host', async () => {
    const local = await far((incoming, outgoing) => void outgoing.end(incoming.headers.host))
    bench.agent.says = discovery({ http: local.at, services: { orders: serviceAt() } })
    await open()
    expect(await textOf({ method: 'POST', body: 'hello' })).to.equal('orders')
    expect(local.seen).to.deep.equal(['POST hello'])
  })

  it('a POST that nobody took goes to an endpoint', async () => {
    const two = await good('two')
    bench.agent.says = discovery({ http: `127.0.0.1:${await freePort()}`, services: { orders: serviceAt(two.at) } })
    await open()
    expect(await textOf({ method: 'POST', body: 'x' })).to.equal('two')
    expect(two.seen).to.deep.equal(['POST x'])
  })

  it('a POST that may have been read fails, a GET goes on', async () => {
    const dying = await far((incoming) => incoming.socket.destroy())
    const two = await good('two')
    bench.agent.says = discovery({ http: dying.at, services: { orders: serviceAt(two.at) } })
    await open()
    const cause = await causeOf(bench.mesh.fetch('http://orders/', { method: 'POST', body: 'x' }))
    expect(cause).to.be.instanceOf(MeshError).and.to.have.property('retry', 'idempotent')
    expect(two.seen).to.deep.equal([])
    expect(await textOf()).to.equal('two')
    expect(dying.seen).to.deep.equal(['POST x', 'GET '])
  })

  it('a body over the bound is streamed whole, once, and not begun again', async () => {
    const dying = await far((incoming) => incoming.socket.destroy())
    const two = await good('two')
    const body = (): ReadableStream =>
      new ReadableStream({
        start(controller) {
          for (let at = 0; at < 200; at++) controller.enqueue(Buffer.alloc(1000, 97))
          controller.close()
        },
      })
    const put = (): Promise<Response> => {
      const init: object = { method: 'PUT', body: body(), duplex: 'half' }
      return bench.mesh.fetch('http://orders/', init)
    }
    bench.agent.says = discovery({ http: dying.at, services: { orders: serviceAt(two.at) } })
    await open()
    expect(await causeOf(put())).to.be.instanceOf(MeshError)
    expect(two.seen).to.deep.equal([])
    await bench.mesh.close()
    bench.agent.says = discovery({ http: two.at, services: { orders: serviceAt() } })
    await open()
    expect(await (await put()).text()).to.equal('two')
    expect(two.seen).to.deep.equal(['PUT 200000'])
  })

  it('a center that delivered to nobody is passed over, also for a POST', async () => {
    const two = await good('two')
    let introduced = 0
    const center = net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', (chunk: Buffer) => {
        if (chunk.subarray(0, 12).toString('latin1') === '\r\n\r\n\0\r\nQUIT\n') introduced++
        socket.write(
          'HTTP/1.1 503 no\r\nx-mesh-tier: none\r\nx-mesh-error: E_CENTER_NOT_READY\r\ncontent-length: 0\r\n\r\n',
        )
      })
    })
    const centers = [await bench.listening(center)]
    bench.agent.says = discovery({ centers, services: { orders: serviceAt(two.at) } })
    await open()
    expect(await textOf({ method: 'POST', body: 'x' })).to.equal('two')
    expect(introduced).to.be.above(0)
  })

  it('a center that wants a proof is not asked without the secret, and status says so', async () => {
    const two = await good('two')
    const centers = [`127.0.0.1:${await freePort()}`]
    bench.agent.says = discovery({ centers, centersWantProof: true, services: { orders: serviceAt(two.at) } })
    await open()
    expect(await textOf()).to.equal('two')
    expect(bench.mesh.status().centerProblem).to.include('centerSecretFile')
    expect(bench.mesh.status().proxies).to.deep.equal([])
  })

  it('what an application answers is its answer, 5xx too, and no endpoint makes itself the mesh', async () => {
    const ill = await far((_incoming, outgoing) => {
      outgoing.writeHead(503, { 'x-mesh-tier': 'agent' })
      outgoing.end('ill')
    })
    bench.agent.says = discovery({ services: { orders: serviceAt(ill.at) } })
    await open()
    const reply = await bench.mesh.fetch('http://orders/')
    expect([reply.status, await reply.text(), reply.headers.get('x-mesh-tier')]).to.deep.equal([503, 'ill', 'direct'])
    expect(ill.seen).to.have.length(1)
  })

  it('an aborted call ends its connection, and its place is free again', async () => {
    const gone = Promise.withResolvers<void>()
    const silent = await far((_incoming, outgoing) => void outgoing.on('close', () => gone.resolve()))
    bench.agent.says = discovery({ services: { orders: serviceAt(silent.at) } })
    await open()
    const abort = new AbortController()
    const call = bench.mesh.fetch('http://orders/', { signal: abort.signal })
    await eventually(() => silent.seen.length > 0)
    abort.abort()
    expect(await causeOf(call)).to.have.property('name', 'AbortError')
    await gone.promise
    expect(bench.mesh.status().calls.active).to.equal(0)
  })

  it('a reply that breaks off fails its caller, and a caller that does not read holds the endpoint back', async () => {
    let written = 0
    const torn = await far((incoming, outgoing) => {
      outgoing.writeHead(200)
      const chunk = Buffer.alloc(65_536)
      const more = (): void => {
        while (written < 200_000_000 && !outgoing.destroyed) {
          written += chunk.length
          if (!outgoing.write(chunk)) {
            outgoing.once('drain', more)
            return
          }
        }
      }
      more()
      incoming.socket.on('error', () => undefined)
    })
    bench.agent.says = discovery({ services: { orders: serviceAt(torn.at) } })
    await open()
    const reply = await bench.mesh.fetch('http://orders/')
    let before = -1
    while (before !== written) {
      before = written
      for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(written).to.be.below(50_000_000)
    await bench.end(torn)
    expect(await causeOf(reply.text())).to.be.instanceOf(MeshError)
  })

  it('refuses a call above its bound before anything is sent, and an agent that speaks nonsense is none', async () => {
    const silent = await far(() => undefined)
    bench.agent.says = discovery({ services: { orders: serviceAt(silent.at) } })
    await open()
    const abort = new AbortController()
    const calls = Array.from({ length: 5 }, () =>
      bench.mesh.fetch('http://orders/', { signal: abort.signal }).catch(() => 0),
    )
    expect(await causeOf(bench.mesh.fetch('http://orders/'))).to.have.property('code', 'E_OVERLOAD')
    abort.abort()
    await Promise.all(calls)
    await bench.mesh.close()
    rmSync(bench.folder, { recursive: true })
    bench.agent.says = '{"host":"alpha","http":"evil.example:80"}'
    await open()
    expect(bench.mesh.status().agent).to.deep.equal({ isAnswering: false, host: undefined })
    expect(await causeOf(bench.mesh.fetch('http://orders/'))).to.have.property('code', 'E_BALANCE_NO_ENDPOINT')
  })

  /** Endpoints are taken in the order in which they are named. */
  async function openInOrder(): Promise<void> {
    const options = { application: 'shop', dataDirectory: bench.folder, agent: bench.agent.address }
    bench.mesh = new ApplicationMesh(options, { clock: systemClock, random: () => 0 })
    await bench.mesh.ready()
  }

  it('a long body goes on to the next endpoint where nobody took the connection', async () => {
    const two = await good('two')
    bench.agent.says = discovery({ services: { orders: serviceAt(`127.0.0.1:${await freePort()}`, two.at) } })
    await openInOrder()
    const init: object = { method: 'POST', body: new Blob(['x'.repeat(200_000)]).stream(), duplex: 'half' }
    expect(await textOf(init)).to.equal('two')
    expect(two.seen).to.deep.equal(['POST 200000'])
    expect(bench.mesh.status().calls.repeated).to.equal(1)
  })

  /** Without `fetch`, which lets go of what it was given by itself. */
  function sent(options: object): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = ''
      bench.mesh.dispatcher.dispatch(
        { origin: 'http://orders', path: '/', ...options },
        {
          onHeaders: () => true,
          onData: (chunk: Buffer) => (text += chunk.toString()) !== '',
          onComplete: () => resolve(text),
          onError: reject,
        },
      )
    })
  }
  const post = (body: Readable): Promise<string> => sent({ method: 'POST', body })
  const endless = (): Readable =>
    new Readable({
      read() {
        this.push(Buffer.alloc(50_000))
      },
    })

  it('lets go of a long body that nobody takes', async () => {
    bench.agent.says = discovery({ services: { orders: null } })
    await open()
    const body = endless()
    expect(await causeOf(post(body))).to.have.property('code', 'E_BALANCE_NO_ENDPOINT')
    if (!body.closed) await once(body, 'close')
  })

  it('lets go of body and connection when the reply is whole before the body is sent', async () => {
    const closed = Promise.withResolvers<void>()
    const hasty = net.createServer((socket) => {
      socket.on('error', () => undefined).on('close', () => closed.resolve())
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhasty'))
      socket.pause()
      setImmediate(() => socket.resume())
    })
    bench.agent.says = discovery({ services: { orders: serviceAt(await bench.listening(hasty)) } })
    await open()
    const body = endless()
    expect(await post(body)).to.equal('hasty')
    await closed.promise
    if (!body.closed) await once(body, 'close')
  })

  it("a GET ends with its caller's time, and does not begin anew at the next endpoint", async () => {
    const silent = await far(() => undefined)
    const two = await good('two')
    bench.agent.says = discovery({ services: { orders: serviceAt(silent.at, two.at) } })
    await openInOrder()
    const cause = await causeOf(sent({ method: 'GET', headersTimeout: 50 }))
    expect(cause).to.have.property('code', 'E_UPSTREAM_TIMEOUT')
    expect(two.seen).to.deep.equal([])
  })

  it('takes a center that the agent calls by a name', async () => {
    const center = net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (bytes: Buffer) => {
        if (bytes.includes('HTTP/1.1')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nnamed')
      })
    })
    const address = await bench.listening(center, 'localhost')
    bench.agent.says = discovery({ centers: [address], services: { orders: serviceAt() } })
    await open()
    expect(await textOf()).to.equal('named')
    expect(bench.mesh.status().proxies).to.deep.equal([{ kind: 'center', address, state: 'up' }])
  })
})
