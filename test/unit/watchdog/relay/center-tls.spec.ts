import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { expect } from 'chai'
import { nodeCiphers } from '../../../../agent/worker/transport/tls/record-cipher.ts'
import type { RelayTargets } from '../../../../contracts/relay-targets.ts'
import { AddressHealth } from '../../../../watchdog/relay/relay-addresses.ts'
import { CenterTls } from '../../../../watchdog/relay/center-tls.ts'
import { CenterWatch } from '../../../../watchdog/relay/center-watch.ts'
import { Introduction } from '../../../../watchdog/relay/introduction.ts'
import { nobody, Wire } from '../../../../watchdog/relay/wire.ts'
import { Authority } from '../../../support/tls/authority.ts'
import { SecureSockets, workload } from '../../../support/tls/secure-sockets.ts'
import { eventually } from '../../../support/worker/eventually.ts'

const host = 'spiffe://mesh.test/host/a'
const centerName = 'spiffe://mesh.test/center'

describe('the way of a watchdog to a center in mutual TLS', () => {
  const authority = new Authority()
  const folder = mkdtempSync(join(tmpdir(), 'hm-center-tls-'))
  const file = join(folder, 'relay-identity.json')
  const servers: net.Server[] = []
  const sockets = new Set<net.Socket>()
  let targets: RelayTargets
  let clock = 0

  beforeEach(() => {
    targets = { host: 'a', centers: [], centerMtls: true } as unknown as RelayTargets
    write(workload(authority, authority.leaf(host), host))
  })

  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    for (const server of servers.splice(0)) {
      server.close()
      await once(server, 'close')
    }
  })

  after(() => rmSync(folder, { recursive: true }))

  function write(body: unknown, checksum = createHash('sha256').update(JSON.stringify(body)).digest('hex')): void {
    writeFileSync(file, JSON.stringify({ format: 1, checksum, body }), { mode: 0o600 })
    // the next look at the file is not too early
    clock += 2000
  }

  const fresh = (): CenterTls => new CenterTls({ file, targets: () => targets, now: () => clock })

  async function listen(server: net.Server): Promise<number> {
    servers.push(server)
    server.on('connection', (socket: net.Socket) => sockets.add(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  async function center(id: string, onSecure: (socket: TLSSocket) => void): Promise<number> {
    const { certificate, key } = authority.leaf(id)
    const options = { cert: certificate, key, ca: authority.certificate, requestCert: true, allowHalfOpen: true }
    return listen(tls.createServer(options, onSecure))
  }

  function dial(port: number, timeoutMs = 5000): Promise<Wire | string> {
    return new Promise((resolve) => {
      const options = { maxBytes: 65_536, timeoutMs, tls: fresh().options }
      Wire.dial({ address: '127.0.0.1', port }, options, resolve, resolve)
    })
  }

  it('needs the certificate of the host, whole and readable by nobody else', () => {
    const way = fresh()
    expect(way.problem).to.equal(undefined)
    expect(way.options).to.be.an('object')
    write(null)
    expect(way.problem).to.include('this host has no certificate (yet)')
    expect(way.options).to.equal(undefined)
    write(workload(authority, authority.leaf(host), host), 'wrong')
    expect(way.problem).to.include('checksum')
    write({ id: host })
    expect(way.problem).to.include('a field is missing')
    writeFileSync(file, '-----BEGIN PRIVATE KEY-----')
    clock += 2000
    expect(way.problem).to.include('not JSON').and.to.not.include('PRIVATE')
    write(workload(authority, authority.leaf(host), host))
    expect(way.problem).to.equal(undefined)
    chmodSync(file, 0o644)
    clock += 2000
    expect(way.problem).to.include('others may read')
    rmSync(file)
    clock += 2000
    expect(way.problem).to.include('ENOENT')
    targets = { ...targets, centerMtls: false }
    expect(way.problem).to.equal(undefined)
    expect(way.options).to.equal(undefined)
  })

  it('shows this host, and passes bytes and half-closes in both directions', async () => {
    let asked = ''
    let shown: string | undefined
    const port = await center(centerName, (socket) => {
      shown = socket.getPeerX509Certificate()?.subjectAltName
      socket.on('data', (bytes: Buffer) => (asked += bytes.toString()))
      socket.on('end', () => socket.end(`heard ${asked}`))
    })
    const wire = (await dial(port)) as Wire
    let answer = ''
    let hasEnded = false
    wire.owner = { ...nobody, onBytes: (bytes) => (answer += bytes.toString()), onEnd: () => (hasEnded = true) }
    wire.resume()
    wire.write(Buffer.from('all that I have to say'))
    wire.end()
    await eventually(() => hasEnded)
    expect(answer).to.equal('heard all that I have to say')
    expect(shown).to.equal(`URI:${host}`)
    wire.close()
  })

  it('tells a reset by a connection that ends without close_notify, which a worker takes for one', async () => {
    const center = new SecureSockets(nodeCiphers())
    try {
      const { outcomes, port } = await center.serve(workload(authority, authority.leaf(centerName), centerName))
      const wire = (await dial(port)) as Wire
      wire.write(Buffer.from('half of a message'))
      await eventually(() => outcomes[0]?.side?.received.toString() === 'half of a message')
      wire.reset()
      await eventually(() => outcomes[0]!.side!.closed !== undefined)
      expect(center.events).to.deep.equal(['server truncated'])
    } finally {
      center.close()
    }
  })

  it('stops a source whose bytes the center does not read, and goes on when it does', async () => {
    let reading: TLSSocket | undefined
    const port = await center(centerName, (socket) => (reading = socket.pause()))
    const wire = (await dial(port)) as Wire
    let isDrained = false
    wire.owner = { ...nobody, onDrained: () => (isDrained = true) }
    // more than any kernel takes
    expect(wire.write(Buffer.alloc(64 * 1024 * 1024))).to.equal(false)
    await eventually(() => reading !== undefined)
    expect(isDrained).to.equal(false)
    reading!.resume()
    await eventually(() => isDrained)
    wire.close()
  })

  it('is not taken when another workload of the same authority answers there, and says why', async () => {
    const port = await center('spiffe://mesh.test/ns/default/sa/orders', () => {})
    expect(await dial(port)).to.include('not of spiffe://mesh.test/center')
    const stranger = new Authority('stranger').leaf(centerName)
    const other = await listen(tls.createServer({ cert: stranger.certificate, key: stranger.key }))
    expect(await dial(other)).to.match(/certificate/)
  })

  it('does not wait for one that takes the connection and says nothing of TLS', async () => {
    const port = await listen(net.createServer(() => {}))
    expect(await dial(port, 50)).to.equal('no handshake in time')
    servers.at(-1)!.close()
  })

  describe('asked for signs of life', () => {
    let watch: CenterWatch

    afterEach(() => watch.close())

    function watched(port: number, way: CenterTls): { health: AddressHealth; news: string[] } {
      targets = { ...targets, centers: [`127.0.0.1:${port}`] }
      const health = new AddressHealth()
      const news: string[] = []
      watch = new CenterWatch({
        health,
        targets: () => targets,
        tls: way,
        introduction: new Introduction({ targets: () => targets, wallClock: Date.now, now: () => performance.now() }),
        now: () => performance.now(),
        onChange: (_key, isAnswering, _text, why) => news.push(`${isAnswering} ${why}`),
        onNamed: () => {},
      })
      watch.watch(true)
      return { health, news }
    }

    it('answers them in TLS; one with another name is passed over for that reason', async () => {
      let asked = ''
      const good = await center(centerName, (socket) =>
        socket.on('data', (bytes: Buffer) => {
          asked += bytes.toString('latin1')
          if (asked.includes('\r\n\r\nGET') || asked.includes('GET /')) socket.end('HTTP/1.1 200 OK\r\n\r\n')
        }),
      )
      const { health, news } = watched(good, fresh())
      await eventually(() => asked.includes('GET /'))
      expect(news).to.deep.equal([])
      expect(health.failuresOf(`127.0.0.1|${good}`)).to.equal(0)
      watch.close()
      const bad = await center('spiffe://mesh.test/host/b', () => {})
      const seen = watched(bad, fresh())
      await eventually(() => seen.news.length > 0)
      expect(seen.news[0]).to.match(/^false the certificate is of URI:spiffe:\/\/mesh\.test\/host\/b, not of/)
      expect(seen.health.isSilent(`127.0.0.1|${bad}`)).to.equal(true)
    })

    it('is not asked at all without a certificate', async () => {
      write(null)
      const connections: unknown[] = []
      const server = net.createServer((socket) => connections.push(socket))
      const port = await listen(server)
      const { news } = watched(port, fresh())
      // one of our own is later than any that the watch would have begun
      await once(net.connect(port, '127.0.0.1'), 'connect')
      await eventually(() => connections.length > 0)
      expect(connections).to.have.length(1)
      expect(news).to.deep.equal([])
    })
  })
})
