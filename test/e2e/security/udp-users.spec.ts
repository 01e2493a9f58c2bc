/** UDP of a host for applications of two users, one of whom floods it. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'

import { counted } from '../../support/mesh/host-facts.ts'
import { Mesh, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { runAs } from '../../support/security/other-user.ts'
import { UdpSocket } from '../../support/udp/udp-socket.ts'

const [alice, bob] = [4201, 4202]
const maxSessions = 64

/**
 * Asks from one socket, each question again until its answer comes, as often as each number in its input says; writes
 * all that it has heard after each number.
 */
const asker = `
const { createSocket } = require('node:dgram')
const [host, port, word] = process.argv[1].split(' ')
const socket = createSocket('udp4'), heard = []
let wanted = 0
const ask = () => { if (heard.length < wanted) socket.send(word + heard.length, Number(port), host) }
const again = setInterval(ask, 200)
socket.on('error', () => {})
socket.on('message', (bytes) => {
  const text = bytes.toString()
  // the answer to a question that was asked twice
  if (heard.includes(text)) return
  heard.push(text)
  if (heard.length < wanted) ask()
  else process.stdout.write(JSON.stringify(heard) + '\\n')
})
process.stdin.on('data', (text) => { wanted += Number(text); ask() })
process.stdin.on('end', () => { clearInterval(again); socket.close() })
`

/** One datagram from each of ever new sockets; ends with its input. */
const flooder = `
const { createSocket } = require('node:dgram')
const [host, port] = process.argv[1].split(' ')
let isOver = false
process.stdin.on('end', () => { isOver = true }).resume()
const turn = () => {
  if (isOver) return
  for (let i = 0; i < 20; i++) {
    const socket = createSocket('udp4')
    socket.on('error', () => {})
    socket.send('flood', Number(port), host, () => socket.close())
  }
  setTimeout(turn, 5)
}
turn()
`

/** Whether it may take a port that somebody has, as those of one user may share it. */
const taker = `
const { createSocket } = require('node:dgram')
const [host, port] = process.argv[1].split(' ')
const socket = createSocket({ type: 'udp4', reusePort: true })
socket.on('error', (error) => { process.stdout.write(error.code); socket.close() })
socket.bind(Number(port), host, () => { process.stdout.write('taken'); socket.close() })
`

class Asker {
  private readonly child: ChildProcess
  private readonly word: string
  private asked = 0
  private said = ''

  constructor(uid: number, at: string, word: string) {
    this.word = word
    this.child = runAs(uid, asker, `${at} ${word}`)
    this.child.stdout!.on('data', (bytes: Buffer) => (this.said += bytes.toString()))
  }

  /** It heard an answer to each question, of all so far, and nothing else. */
  async hears(count: number): Promise<void> {
    this.asked += count
    this.said = ''
    this.child.stdin!.write(String(count))
    await until(60_000, `${count} answers`, async () => this.said.endsWith('\n'))
    expect(JSON.parse(this.said)).to.deep.equal(
      Array.from({ length: this.asked }, (_value, index) => `echo|${this.word}${index}`),
    )
  }

  end(): void {
    this.child.kill()
  }
}

describe('UDP of a host and its users', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let host: DemoHost
  let server: UdpSocket
  /** `ADDRESS PORT` */
  let at: string
  const children: { kill(): unknown }[] = []

  before(async function () {
    if (process.getuid!() !== 0) {
      console.log('skipped: only root can play several users')
      this.skip()
    }
    mesh = await Mesh.openOnFiles()
    const address = mesh.address()
    server = await UdpSocket.echo('echo', 0, address)
    mesh.tell('clock', [{ address, port: server.port }])
    host = await mesh.startedHost('host', {
      outbound: [{ service: 'clock', protocol: 'udp' }],
      extra: { workers: 1, limits: { maxUdpSessions: maxSessions } },
    })
    at = `${host.options.address} ${await host.port('clock')}`
  })
  after(async () => {
    for (const child of children.splice(0)) child.kill()
    server?.close()
    await mesh?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const asking = (uid: number, word: string): Asker => {
    const one = new Asker(uid, at, word)
    children.push({ kill: () => one.end() })
    return one
  }
  /** At which ports the endpoint heard this caller. */
  const seenFrom = (word: string): number =>
    new Set(server.got.filter(({ text }) => text.startsWith(word)).map(({ port }) => port)).size

  it('each hears what was said to it alone', async () => {
    const both = [asking(alice, 'alice'), asking(bob, 'bob')]
    await Promise.all(both.map((one) => one.hears(20)))
  })

  it("gives nobody the port of a service that is the worker's", async () => {
    const child = runAs(bob, taker, at)
    let said = ''
    child.stdout!.on('data', (bytes: Buffer) => (said += bytes.toString()))
    await once(child, 'close')
    expect(said).to.equal('EADDRINUSE')
  })

  it('keeps the session of one while the other begins more than there are places', async () => {
    const one = asking(alice, 'kept')
    // it has answered an answer, so it is there
    await one.hears(5)
    const flood = runAs(bob, flooder, at)
    children.push(flood)
    await until(30_000, 'sessions give way', async () => {
      const evicted = await counted(host, 'hostmesh_udp_session_events_total', 'event="evicted"')
      // as many as there are places: half of the sessions, for one listener
      return evicted > maxSessions / 2
    })
    await one.hears(50)
    expect(await counted(host, 'hostmesh_udp_sessions', 'listener=')).to.be.at.most(maxSessions / 2)
    flood.stdin!.end()
    await once(flood, 'close')
    expect(seenFrom('kept')).to.equal(1)
  })
})
