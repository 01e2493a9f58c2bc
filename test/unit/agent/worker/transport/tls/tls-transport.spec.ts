import { randomBytes } from 'node:crypto'
import { once } from 'node:events'

import { expect } from 'chai'

import { spiffeCheck } from '../../../../../../agent/worker/transport/tls/peer-check.ts'
import { evpCiphers, nodeCiphers } from '../../../../../../agent/worker/transport/tls/record-cipher.ts'
import { openFastCiphers } from '../../../../../../native/fast-ciphers.ts'
import { Authority } from '../../../../../support/tls/authority.ts'
import { SecureSockets, workload } from '../../../../../support/tls/secure-sockets.ts'
import type { Side } from '../../../../../support/tls/secure-sockets.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'

const authority = new Authority()
const [alice, bob] = ['alice', 'bob'].map((name) => {
  const id = `spiffe://mesh.test/ns/default/sa/${name}`
  return workload(authority, authority.leaf(id), id)
}) as [ReturnType<typeof workload>, ReturnType<typeof workload>]

const makers = {
  evp: () => {
    const { ciphers, problem } = openFastCiphers()
    if (ciphers === undefined) throw new Error(problem)
    return evpCiphers(ciphers)
  },
  node: nodeCiphers,
}

for (const kind of ['evp', 'node'] as const) {
  describe(`TLS connections, records by ${kind}`, () => {
    let sockets: SecureSockets

    beforeEach(() => {
      sockets = new SecureSockets(makers[kind]())
    })
    afterEach(() => sockets.close())

    async function pair(): Promise<{ client: Side; server: Side }> {
      const { outcomes, port } = await sockets.serve(alice)
      const { side } = await sockets.dial(port, bob)
      await eventually(() => outcomes.length === 1)
      return { client: side!, server: outcomes[0]!.side! }
    }

    it('carry bytes both ways, and each end knows who the other is', async () => {
      const { client, server } = await pair()
      expect(server.transport.peer().identity).to.deep.equal({ kind: 'spiffe', id: bob.id })
      expect(client.transport.peer().identity).to.deep.equal({ kind: 'spiffe', id: alice.id })
      const [up, down] = [randomBytes(300_000), randomBytes(100_001)]
      sockets.send(client, up)
      sockets.send(server, down)
      await eventually(() => server.received.length === up.length && client.received.length === down.length)
      expect(server.received.equals(up) && client.received.equals(down)).to.equal(true)
      client.transport.end()
      await eventually(() => server.hasEnded)
      sockets.send(server, 'after')
      await eventually(() => client.received.length === down.length + 5)
      server.transport.close()
      await eventually(() => client.hasEnded)
      expect(sockets.events).to.deep.equal([])
    })

    it('move to another process and back in the middle of everything, in both roles', async () => {
      const { client, server } = await pair()
      const [up, down] = [randomBytes(3_000_000), randomBytes(3_000_000)]
      const send = (side: Side, bytes: Buffer, at: number): void => {
        if (at >= bytes.length) return
        sockets.send(side, bytes.subarray(at, at + 70_001))
        setImmediate(send, side, bytes, at + 70_001)
      }
      send(client, up, 0)
      send(server, down, 0)
      let moves = 0
      while (server.received.length < up.length || client.received.length < down.length) {
        await new Promise((resolve) => setImmediate(resolve))
        if (moves < 200) sockets.move(moves++ % 2 === 0 ? client : server)
      }
      expect(server.received.equals(up) && client.received.equals(down)).to.equal(true)
      expect(moves).to.be.above(20)
      client.transport.end()
      await eventually(() => server.hasEnded)
      expect(sockets.events).to.deep.equal([])
    })

    for (const suite of ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']) {
      it(`are those of OpenSSL, ${suite}, and move under its eyes`, async () => {
        const { outcomes, port } = await sockets.serve(alice, undefined, ['h2', 'http/1.1'])
        const socket = sockets.nodeClient(port, {
          cert: bob.chain,
          key: bob.key,
          ca: authority.certificate,
          ciphers: suite,
          ALPNProtocols: ['http/1.1'],
        })
        await once(socket, 'secureConnect')
        expect(socket.getCipher().standardName).to.equal(suite)
        expect(socket.alpnProtocol).to.equal('http/1.1')
        await eventually(() => outcomes.length === 1)
        const server = outcomes[0]!.side!
        const content = randomBytes(200_000)
        let echoed = Buffer.alloc(0)
        socket.on('data', (bytes: Buffer) => (echoed = Buffer.concat([echoed, bytes])))
        for (let part = 0; part < 10; part++) {
          const bytes = content.subarray(part * 20_000, (part + 1) * 20_000)
          socket.write(bytes)
          await eventually(() => server.received.length === (part + 1) * 20_000)
          sockets.move(server)
          sockets.send(server, bytes)
          await eventually(() => echoed.length === (part + 1) * 20_000)
        }
        expect(echoed.equals(content)).to.equal(true)
        socket.end()
        await eventually(() => server.hasEnded)
      })
    }

    it('speak what a caller of raw bytes names, and refuse one of messages that names nothing of theirs', async () => {
      const named = async (known: readonly string[], ALPNProtocols: string[]) => {
        const { outcomes, port } = await sockets.serve(alice, undefined, known)
        const options = { cert: bob.chain, key: bob.key, ca: authority.certificate, ALPNProtocols }
        const socket = sockets.nodeClient(port, options)
        let said = ''
        socket.once('secureConnect', () => (said = String(socket.alpnProtocol)))
        socket.once('error', (error: NodeJS.ErrnoException) => (said = String(error.code)))
        await eventually(() => said !== '' && outcomes.length === 1)
        return [said, outcomes[0]!.reason]
      }
      expect(await named(['hostmesh', 'istio'], ['postgresql'])).to.deep.equal(['postgresql', ''])
      expect(await named(['h2', 'http/1.1'], ['spdy/1', 'http/1.1'])).to.deep.equal(['http/1.1', ''])
      expect(await named(['h2', 'http/1.1'], ['spdy/1', 'hq'])).to.deep.equal([
        'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
        'no_application_protocol',
      ])
    })

    it('are clients of an OpenSSL that gives out tickets', async () => {
      const received: Buffer[] = []
      const port = await sockets.nodeServer(
        { cert: alice.chain, key: alice.key, ca: authority.certificate, ALPNProtocols: ['http/1.1'] },
        (socket) => {
          socket.on('data', (bytes: Buffer) => {
            received.push(bytes)
            socket.write(bytes)
          })
        },
      )
      const { side } = await sockets.dial(port, bob, spiffeCheck([alice.id]), 'app.mesh.test')
      sockets.send(side!, 'first')
      await eventually(() => side!.received.toString() === 'first')
      sockets.move(side!)
      sockets.send(side!, 'second')
      await eventually(() => side!.received.toString() === 'firstsecond')
      expect(Buffer.concat(received).toString()).to.equal('firstsecond')
    })
  })
}
