/**
 * A center is killed again and again, at any moment of ten writes a second: what it acknowledged is there afterwards,
 * whole, and nobody who calls through an agent of it notices. `npm run soak:center`: twenty times.
 */
import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { CenterWithAgent, roundField } from '../../support/center/center-with-agent.ts'
import { SteadyCalls } from '../../support/mesh/steady-calls.ts'
import { sharedPort, until } from '../../support/mesh/mesh.ts'

const kills = Number(process.env['HOSTMESH_KILLS'] ?? 2)
const writesPerSecond = 10
/** The first is the rule that requests obey. */
const names = ['orders', 'cart', 'ledger', 'stock']

/** Of one rule: the round that was acknowledged last, and the one that was tried after it. */
interface Written {
  acknowledged: number
  tried: number
  revision: string | undefined
}

class Writer {
  readonly rules = new Map<string, Written>(
    names.map((name) => [name, { acknowledged: 0, tried: 0, revision: undefined }]),
  )
  readonly faults: string[] = []
  acknowledged = 0
  private readonly bench: CenterWithAgent
  private isOver = false
  private readonly running: Promise<void>

  constructor(bench: CenterWithAgent) {
    this.bench = bench
    this.running = this.run()
  }

  async stop(): Promise<void> {
    this.isOver = true
    await this.running
  }

  private async run(): Promise<void> {
    for (let round = 1; !this.isOver; round++) {
      const next = pause(1000 / writesPerSecond)
      const name = names[round % names.length]!
      // no whole answer: the next round looks what is there
      await this.write(name, round).catch(() => (this.rules.get(name)!.revision = undefined))
      await next
    }
  }

  private async write(name: string, round: number): Promise<void> {
    const { bench, rules } = this
    const rule = rules.get(name)!
    if (rule.revision === undefined) {
      const found = await bench.read(name)
      this.compare(name, found?.metadata.annotations?.['round'])
      rule.revision = found?.metadata.resourceVersion
    }
    rule.tried = round
    const { status, rule: written } = await bench.write(name, round, rule.revision)
    if (status !== 200 && status !== 201) {
      if (status !== 503) this.faults.push(`${name}, round ${round}: status ${status}`)
      rule.revision = undefined
      return
    }
    rule.acknowledged = round
    rule.revision = written.metadata.resourceVersion
    this.acknowledged++
  }

  /** What is there is what was acknowledged last, or what was tried after it. */
  compare(name: string, found: string | undefined): void {
    const { acknowledged, tried } = this.rules.get(name)!
    const round = Number(found ?? 0)
    if (round !== acknowledged && round !== tried)
      this.faults.push(`${name}: found round ${round}, acknowledged ${acknowledged}, tried ${tried}`)
  }
}

describe('a center that is killed under writes', function () {
  this.timeout(60_000 + kills * 60_000)
  let bench: CenterWithAgent
  before(async () => {
    bench = await CenterWithAgent.open()
  })
  after(() => bench?.close())
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(bench?.mesh.report())
  })

  it(`loses no acknowledged write in ${kills} deaths, and no caller of an agent notices`, async () => {
    const { agent, center } = bench
    const calls = new SteadyCalls({ address: agent.options.address, port: sharedPort, service: 'orders' }, 4, 5)
    const writer = new Writer(bench)
    const away: number[] = []
    try {
      for (let kill = 0; kill < kills; kill++) {
        const before = writer.acknowledged
        await until(30_000, 'ten writes are acknowledged', async () => writer.acknowledged >= before + 10)
        // not at the same moment of a write each time
        await pause(Math.random() * 100)
        if (kill % 2 === 0) await center.signal('generation', 'SIGKILL')
        else await killWhole(bench)
        const atDeath = writer.acknowledged
        away.push(await until(60_000, 'it takes writes again', async () => writer.acknowledged > atDeath + 1))
      }
    } finally {
      await writer.stop()
      await calls.stop()
    }
    for (const name of names) {
      const rule = (await bench.read(name))!
      writer.compare(name, rule.metadata.annotations?.['round'])
      expect(rule.spec.http[0]?.headers.response.set[roundField], `${name} is whole`).to.equal(
        rule.metadata.annotations?.['round'],
      )
    }
    expect(writer.faults).to.deep.equal([])
    const newest = (await bench.read('orders'))!.metadata.annotations?.['round']
    await until(30_000, 'requests obey the newest rule', async () => (await bench.ask()).headers[roundField] === newest)
    const { calls: made, failed, answers } = calls.counts
    expect(failed, `of ${made} calls: ${JSON.stringify([...answers])}`).to.equal(0)
    console.info(
      `      ${writer.acknowledged} writes acknowledged and kept, ${made} calls, none failed; ` +
        `away ${Math.round(Math.min(...away))} to ${Math.round(Math.max(...away))} ms`,
    )
  })
})

/** The watchdog and all that it started, as when the machine loses its power; the service manager starts it again. */
async function killWhole({ center }: CenterWithAgent): Promise<void> {
  const { generations } = await center.watchdogState()
  const pids = generations.flatMap(({ children }) => children.map(({ pid }) => pid))
  center.killWatchdog()
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  await center.whenExited()
  center.start()
}
