import { expect } from 'chai'
import { connect } from 'node:net'
import { createServer as createTlsServer, connect as connectTls } from 'node:tls'
import type { Socket } from 'node:net'
import { resource } from '../../support/routing.ts'
import { throwawayCertificates } from '../../support/nacos/certificates.ts'
import { TrafficWorld } from '../../support/traffic-world.ts'

describe('raw connections by the server name of their TLS', () => {
  let world: TrafficWorld

  before(async () => {
    const { serverCert: cert, serverKey: key } = await throwawayCertificates()
    /** Ends TLS itself and says its name, the name that it was called by, and what it was sent. */
    const secure = (name: string) => {
      const server = createTlsServer({ cert, key, ALPNProtocols: ['echo'] }, (socket) => {
        socket.on('error', () => {})
        socket.once('data', (data: Buffer) => socket.end(`${name}|${String(socket.servername)}|${data.toString()}`))
      })
      server.on('tlsClientError', () => {})
      return (socket: Socket): void => void server.emit('connection', socket)
    }
    const plain = (socket: Socket): void => {
      socket.write('plain|')
      socket.pipe(socket)
    }
    world = await TrafficWorld.start({
      listeners: { vault: 'tcp', strict: 'tcp' },
      // a hello may be late on a busy machine
      limits: { headTimeoutMs: 1500 },
      apps: {
        vault: [{ tcp: secure('vault') }],
        replica: [{ tcp: secure('replica') }],
        plain: [{ tcp: plain }],
      },
      rules: [
        resource(
          'VirtualService',
          `
hosts: [vault]
tls:
- match: [{ sniHosts: [vault.example.com] }]
  route: [{ destination: { host: vault } }]
- match: [{ sniHosts: ['*.example.com'] }]
  route: [{ destination: { host: replica } }]
tcp:
- route: [{ destination: { host: plain } }]`,
          'vault',
        ),
        resource(
          'VirtualService',
          `
hosts: [strict]
tls:
- match: [{ sniHosts: [vault.example.com] }]
  route: [{ destination: { host: vault } }]`,
          'strict',
        ),
      ].join('---\n'),
    })
  })
  after(() => world.stop())

  function callTls(port: number, servername: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = ''
      const socket = connectTls({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
        socket.write('hello')
      })
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
      socket.once('error', reject)
      socket.once('close', () => resolve(answer))
    })
  }

  /** The first bytes of the answer. */
  function callPlain(port: number, text: string, answerLength: number): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = ''
      const socket = connect({ port, host: '127.0.0.1' })
      socket.on('data', (chunk: Buffer) => {
        answer += chunk.toString()
        if (answer.length >= answerLength) socket.destroy()
      })
      socket.once('error', reject)
      socket.once('close', () => resolve(answer))
      if (text !== '') socket.write(text)
    })
  }

  it('go by the first route that knows it, and end their TLS where they arrive', async () => {
    const port = world.port('vault')
    expect(await callTls(port, 'vault.example.com')).to.equal('vault|vault.example.com|hello')
    expect(await callTls(port, 'VAULT.example.com')).to.match(/^vault\|/)
    expect(await callTls(port, 'a.b.example.com')).to.equal('replica|a.b.example.com|hello')
  })

  it('go by the routes for the rest without a name: no TLS, or a server that speaks first', async () => {
    const port = world.port('vault')
    expect(await callPlain(port, 'GET /', 11)).to.equal('plain|GET /')
    expect(await callPlain(port, '', 6), 'after the time for a hello').to.equal('plain|')
    expect(await world.worker.metric('hostmesh_tls_hello_timeouts_total')).to.equal(1)
  })

  it('are closed where no route knows their name', async () => {
    const port = world.port('strict')
    const codeOf = (error: NodeJS.ErrnoException) => error.code
    expect(await callTls(port, 'other.example.com').catch(codeOf)).to.equal('ECONNRESET')
    expect(await callPlain(port, 'GET /', 1).catch(codeOf)).to.be.oneOf(['', 'ECONNRESET'])
    expect(await callTls(port, 'vault.example.com')).to.match(/^vault\|/)
  })
})
