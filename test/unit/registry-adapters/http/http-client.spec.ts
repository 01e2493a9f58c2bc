import type { Socket } from 'node:net'
import { expect } from 'chai'
import { HttpClient } from '../../../../registry-adapters/http/http-client.ts'
import { answer, flood, startHostileServer, type Behaviour } from '../../../support/hostile-server.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import { eventually } from '../../../support/registry-listener.ts'

const endless = 'HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\n'

describe('the client for registries', () => {
  const ends: (() => Promise<void> | void)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0)) await end()
  })

  /** A client at a server that behaves so; both end with the test. */
  async function open(behaviour: Behaviour) {
    const sockets = new Set<Socket>()
    const server = await startHostileServer((socket, line) => {
      sockets.add(socket)
      behaviour(socket, line)
    })
    const clock = manualClock()
    const servers = [{ host: '127.0.0.1', port: server.port }]
    const client = new HttpClient({ servers, tls: () => undefined, headers: () => ({}), clock, random: () => 0 })
    ends.push(
      () => client.close(),
      () => server.stop(),
    )
    const code = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'none',
        (error: { code: string }) => error.code,
      )
    return {
      clock,
      ask: () => code(client.ask({ path: '/', timeoutMs: 1000 })),
      stream: () => code(client.stream({ path: '/' }, 600_000, () => undefined)),
      /** Connections that were made, and those that are there now. */
      made: () => sockets.size,
      left: () => [...sockets].filter((socket) => !socket.destroyed).length,
    }
  }

  it('says at once that it was refused, and gives up the rest of a refusal that does not come', async () => {
    const { ask, clock, left, made, stream } = await open((socket) => void socket.write(endless))
    expect(await Promise.all([ask(), ask(), stream()])).to.deep.equal(Array(3).fill('E_REGISTRY_DENIED'))
    expect([made(), left()]).to.deep.equal([3, 3])
    clock.advance(5000)
    await eventually(() => left() === 0, 'the end of the connections')
  })

  it('gives up a refusal without end as soon as it is long', async () => {
    const piece = Buffer.from(`4000\r\n${'x'.repeat(0x4000)}\r\n`)
    const { ask, left, stream } = await open(flood(endless, piece))
    expect(await Promise.all([ask(), stream()])).to.deep.equal(Array(2).fill('E_REGISTRY_DENIED'))
    await eventually(() => left() === 0, 'the end of the connections')
  })

  it('keeps the connection of a refusal that ends', async () => {
    const { ask, made } = await open(answer('{"message":"no"}', '401 Unauthorized'))
    // the head is told before the end is read
    await eventually(async () => {
      const before = made()
      expect(await ask()).to.equal('E_REGISTRY_DENIED')
      return made() === before
    }, 'a question on a connection from before')
  })
})
