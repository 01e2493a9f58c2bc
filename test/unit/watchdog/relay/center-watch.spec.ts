import { once } from 'node:events'
import net from 'node:net'
import { expect } from 'chai'
import { Introduction } from '../../../../watchdog/relay/introduction.ts'
import type { RelayTargets } from '../../../../contracts/relay-targets.ts'
import { AddressHealth } from '../../../../watchdog/relay/relay-addresses.ts'
import { CenterWatch } from '../../../../watchdog/relay/center-watch.ts'
import { Waiting } from '../../../../watchdog/relay/waiting.ts'
import { eventually } from '../../../support/worker/eventually.ts'

describe('the watch over centers', function () {
  this.timeout(10_000)
  const servers: net.Server[] = []
  const sockets = new Set<net.Socket>()
  let watch: CenterWatch | undefined

  afterEach(async () => {
    watch?.close()
    for (const socket of sockets) socket.destroy()
    for (const server of servers.splice(0)) {
      server.close()
      await once(server, 'close')
    }
  })

  async function center(answer: (socket: net.Socket) => void): Promise<number> {
    const server = net.createServer((socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket)).on('error', () => {})
      socket.once('data', () => answer(socket))
    })
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as net.AddressInfo).port
  }

  /** Watches one center and answers the first change that is told; everything begins as usable. */
  async function firstChange(port: number): Promise<{ health: AddressHealth; isAnswering: boolean; key: string }> {
    const health = new AddressHealth()
    const targets = { host: 'a', centers: [`127.0.0.1:${port}`] } as unknown as RelayTargets
    return new Promise((resolve) => {
      watch = new CenterWatch({
        health,
        targets: () => targets,
        introduction: new Introduction({ targets: () => targets, wallClock: Date.now, now: () => performance.now() }),
        tls: { options: undefined, problem: undefined },
        now: () => performance.now(),
        onChange: (key, isAnswering) => resolve({ health, isAnswering, key }),
        onNamed: () => {},
      })
      watch.watch(true)
    })
  }

  it('marks one that accepts and does not answer, until it answers', async () => {
    let isSilent = true
    const port = await center((socket) => {
      if (!isSilent) socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n')
    })
    const { health, isAnswering, key } = await firstChange(port)
    expect(isAnswering).to.equal(false)
    expect(health.isSilent(key)).to.equal(true)
    isSilent = false
    while (health.isSilent(key)) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(health.isUsable(key, performance.now())).to.equal(true)
  })

  it('counts all as silent while a drill has cut them off, and asks them again afterwards', async () => {
    const port = await center((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'))
    const health = new AddressHealth()
    const targets = { host: 'a', centers: [`127.0.0.1:${port}`] } as unknown as RelayTargets
    const changes: boolean[] = []
    watch = new CenterWatch({
      tls: { options: undefined, problem: undefined },
      health,
      targets: () => targets,
      introduction: new Introduction({ targets: () => targets, wallClock: Date.now, now: () => performance.now() }),
      now: () => performance.now(),
      onChange: (_key, isAnswering) => changes.push(isAnswering),
      onNamed: () => {},
    })
    watch.watch(false)
    watch.cut(300)
    expect(changes).to.deep.equal([false])
    await eventually(() => changes.length >= 2)
    expect(changes).to.deep.equal([false, true])
    watch.cut(60_000)
    watch.cut(0)
    await eventually(() => changes.length >= 4)
    expect(changes).to.deep.equal([false, true, false, true])
  })

  it('says that it asks other centers than before, though none has changed', () => {
    const health = new AddressHealth()
    let targets: RelayTargets | undefined
    let named = 0
    watch = new CenterWatch({
      tls: { options: undefined, problem: undefined },
      health,
      targets: () => targets,
      introduction: new Introduction({ targets: () => targets, wallClock: Date.now, now: () => performance.now() }),
      now: () => performance.now(),
      onChange: () => {},
      onNamed: () => named++,
    })
    watch.watch(false)
    expect(named).to.equal(0)
    targets = { host: 'a', centers: ['127.0.0.1:1', '127.0.0.1:2'] } as unknown as RelayTargets
    watch.watch(false)
    watch.watch(true)
    expect(named).to.equal(1)
    targets = { host: 'a', centers: ['127.0.0.1:2'] } as unknown as RelayTargets
    watch.watch(true)
    expect(named).to.equal(2)
  })

  it('marks one whose answer is not HTTP', async () => {
    const port = await center((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))
    const { health, key } = await firstChange(port)
    expect(health.isSilent(key)).to.equal(true)
  })

  it('lets one that refuses rest like any address that refuses', async () => {
    const port = await center(() => {})
    const [server] = servers.splice(0)
    server!.close()
    await once(server!, 'close')
    const { health, key } = await firstChange(port)
    expect(health.isSilent(key)).to.equal(false)
    expect(health.failuresOf(key)).to.be.greaterThan(0)
  })
})

describe('those who wait for an answer', () => {
  it('are told once when their address falls silent, and not after they have left', () => {
    const waiting = new Waiting()
    const told: string[] = []
    waiting.enter('a', () => told.push('one'))
    const leave = waiting.enter('a', () => told.push('two'))
    waiting.enter('b', () => told.push('three'))
    leave()
    leave()
    expect(waiting.size).to.equal(2)
    waiting.fellSilent('a')
    waiting.fellSilent('a')
    expect(told).to.deep.equal(['one'])
    expect(waiting.size).to.equal(1)
  })
})
