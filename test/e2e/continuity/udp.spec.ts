import { expect } from 'chai'
import { WatchdogHost } from '../../support/continuity/watchdog-host.ts'
import { UdpSocket } from '../../support/udp/udp-socket.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { snapshotOf } from '../../support/worker/snapshots.ts'

const tuning = {
  deadlines: { startMs: 14_000, drainMs: 18_000, stopMs: 2000, adoptMs: 3000 },
  // A generation that died stays dead for long enough to be called without it.
  restarts: { firstPauseMs: 1000, lastPauseMs: 1000 },
}

/** Callers that each send the next datagram when the last one is answered, or a pause later. */
class Load {
  readonly callers: UdpSocket[] = []
  readonly sent: number[]
  private readonly timer: NodeJS.Timeout

  static async start(count: number, port: number): Promise<Load> {
    return new Load(await Promise.all(Array.from({ length: count }, () => UdpSocket.open())), port)
  }

  private constructor(callers: readonly UdpSocket[], port: number) {
    this.callers.push(...callers)
    this.sent = callers.map(() => 0)
    this.timer = setInterval(() => {
      for (const [index, caller] of callers.entries()) caller.send(port, `${index}.${this.sent[index]!++}`)
    }, 10)
  }

  get answered(): number {
    return this.callers.reduce((sum, { got }) => sum + got.length, 0)
  }

  pause(): void {
    clearInterval(this.timer)
  }

  /** What was asked and not answered. */
  get missing(): string[] {
    return this.callers.flatMap(({ got }, index) => {
      const texts = new Set(got.map(({ text }) => text))
      const asked = Array.from({ length: this.sent[index]! }, (_, nth) => `a|${index}.${nth}`)
      return asked.filter((text) => !texts.has(text))
    })
  }

  close(): void {
    this.pause()
    for (const caller of this.callers) caller.close()
  }
}

describe('UDP callers', function () {
  this.timeout(90_000)
  let host: WatchdogHost
  let server: UdpSocket
  let port: number
  let load: Load | undefined

  beforeEach(async () => {
    load = undefined
    server = await UdpSocket.echo('a')
    host = await WatchdogHost.start({
      workers: 2,
      tuning,
      snapshot: (started) => {
        port = started.httpPort
        return snapshotOf({
          services: [{ name: 'clock', protocol: 'udp', endpoints: [{ address: '127.0.0.1', port: server.port }] }],
          listen: { clock: { address: '127.0.0.1', port } },
        })
      },
    })
  })

  afterEach(async () => {
    load?.close()
    server.close()
    expect(await host.end(), 'processes left').to.deep.equal([])
  })

  it('lose no datagram in a hot restart, and the endpoint sees each of them at the same port as before', async () => {
    const started = await Load.start(12, port)
    load = started
    await eventually(() => started.callers.every(({ got }) => got.length > 5))
    const report = await host.upgrade(host.release({ name: 'next' }))
    expect(report.outcome, report.cause).to.equal('done')
    const before = started.answered
    await eventually(() => started.answered > before + 120)
    started.pause()
    await eventually(() => started.missing.length === 0)
    const ports = new Map<string, Set<number>>()
    for (const { port: from, text } of server.got) {
      const [caller = ''] = text.split('.')
      ports.set(caller, (ports.get(caller) ?? new Set()).add(from))
    }
    expect([...ports.values()].map((of) => of.size)).to.deep.equal(Array.from({ length: 12 }, () => 1))
    const moved = report.counts.filter(({ protocol }) => protocol === 'udp')
    expect(moved.reduce((sum, one) => sum + one.moved, 0)).to.equal(12)
  })

  it('go on with new sessions when a worker is killed; what they sent meanwhile waited', async () => {
    const one = await UdpSocket.open()
    try {
      expect(await one.ask(port, 'x')).to.equal('a|x')
      const { generations } = await host.state()
      for (const { pid, role } of generations[0]!.children) if (role === 'worker') process.kill(pid, 'SIGKILL')
      await host.until((state) => state.relay.isRelaying, 'nobody serves')
      for (let index = 0; index < 10; index++) one.send(port, `w${index}`)
      await host.until((state) => host.serving(state) !== undefined && !state.relay.isRelaying, 'workers serve again')
      await eventually(() => one.got.length === 11)
      expect(one.got.map(({ text }) => text).slice(1)).to.deep.equal(
        Array.from({ length: 10 }, (_, index) => `a|w${index}`),
      )
    } finally {
      one.close()
    }
  })

  it('are served by a neighbour while one worker is dead', async () => {
    const started = await Load.start(12, port)
    load = started
    await eventually(() => started.callers.every(({ got }) => got.length > 5))
    const { pid } = await host.child('worker')
    process.kill(pid, 'SIGKILL')
    const before = started.callers.map(({ got }) => got.length)
    await eventually(() => started.callers.every(({ got }, index) => got.length > before[index]! + 10))
  })
})
