import { once } from 'node:events'
import {
  Agent,
  createServer,
  request,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import https from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { expect } from 'chai'
import { RequestTurns } from '../../../guard/request-turns.ts'
import { closing } from '../../support/closing.ts'
import { eventually } from '../../support/registry-listener.ts'
import { Authority } from '../../support/tls/authority.ts'

const head = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`
const bigReply = Buffer.alloc(16 * 1024 * 1024, 'x')

describe('one request in hand per connection', () => {
  let server: Server
  /** What the budget was told and what was answered, in order. */
  let told: string[]
  let pipelined: number
  /** Not answered yet. */
  let held: ServerResponse[]
  let client: Socket

  /** `/hold` waits for the test, `/big` is 16 MiB, `/last` ends its connection. */
  const listener = (): RequestListener => {
    const turns = new RequestTurns({
      budget: { busy: () => void told.push('busy'), rest: () => void told.push('rest') },
      onPipelined: () => pipelined++,
    })
    return (incoming, outgoing) =>
      turns.take(incoming.socket, outgoing, () => {
        told.push(incoming.url!)
        if (incoming.url === '/hold') held.push(outgoing)
        else if (incoming.url === '/big') outgoing.end(bigReply)
        else if (incoming.url === '/last') outgoing.setHeader('connection', 'close').end('last')
        else outgoing.end('ok')
      })
  }
  const listen = async (made: Server): Promise<number> => {
    server = made
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return (server.address() as AddressInfo).port
  }
  const open = async (): Promise<void> => {
    const port = await listen(createServer(listener()))
    client = connect(port, '127.0.0.1').on('error', () => undefined)
  }

  beforeEach(() => {
    told = []
    held = []
    pipelined = 0
  })
  afterEach(async () => {
    client?.destroy()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it('ends a connection that sends 1,000 and reads none: one was begun', async () => {
    await open()
    client.write(head('/hold').repeat(1000))
    await closing(client.resume())
    await eventually(() => told.includes('rest'), 'the connection is idle')
    expect(told).to.deep.equal(['busy', '/hold', 'rest'])
    expect(pipelined).to.equal(1)
  })

  it('ends it also when the second comes later, while the first waits for its answer', async () => {
    await open()
    client.write(head('/hold'))
    await eventually(() => held.length === 1, 'the first is in hand')
    client.write(head('/'))
    await closing(client.resume())
    expect(told.slice(0, 2)).to.deep.equal(['busy', '/hold'])
    expect(told).to.not.include('/')
  })

  it('lets one wait behind an answer that is not flushed, and ends a connection that sends another', async () => {
    await open()
    client.write(head('/big') + head('/hold'))
    await eventually(() => told.length === 2, 'the first is answered')
    client.resume()
    await eventually(() => held.length === 1, 'the second is in hand')
    expect(told, 'busy all the time').to.deep.equal(['busy', '/big', 'busy', '/hold'])
    expect(pipelined).to.equal(0)
    held[0]!.end('ok')
    await eventually(() => told.at(-1) === 'rest', 'the connection is idle')
    client.pause().write(head('/big') + head('/') + head('/'))
    await eventually(() => pipelined === 1, 'the connection is over')
    await closing(client.resume())
    await eventually(() => told.at(-1) === 'rest', 'the connection is idle')
    expect(told.slice(5)).to.deep.equal(['busy', '/big', 'rest'])
  })

  it('begins none behind the last answer of a connection', async () => {
    await open()
    client.write(head('/last') + head('/'))
    let text = ''
    client.on('data', (chunk: Buffer) => (text += String(chunk)))
    await closing(client)
    expect(text).to.match(/\r\n\r\nlast$/)
    await eventually(() => told.includes('rest'), 'the connection is idle')
    expect(told).to.deep.equal(['busy', '/last', 'rest'])
  })

  for (const scheme of ['http', 'https'] as const)
    it(`answers one after the other on one connection of ${scheme} as before`, async () => {
      const { certificate: cert, key } = new Authority().leaf()
      const port = await listen(
        scheme === 'http' ? createServer(listener()) : https.createServer({ cert, key }, listener()),
      )
      const options = { keepAlive: true, maxSockets: 1 }
      const agent = scheme === 'http' ? new Agent(options) : new https.Agent({ ...options, rejectUnauthorized: false })
      let connections = 0
      server.on('connection', () => connections++)
      const ask = scheme === 'http' ? request : https.request
      for (let count = 0; count < 50; count++) {
        const asked = ask({ port, host: '127.0.0.1', path: `/${count}`, agent }).end()
        const [reply] = (await once(asked, 'response')) as [IncomingMessage]
        await once(reply.resume(), 'end')
      }
      agent.destroy()
      expect(connections).to.equal(1)
      expect(told.filter((word) => word.startsWith('/'))).to.have.length(50)
    })
})
