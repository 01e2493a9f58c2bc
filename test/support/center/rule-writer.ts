/** Writes rules at centers, ten a second, each center in its turn, and knows what was acknowledged. */
import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { until } from '../mesh/mesh.ts'
import { roundField, type CenterWithAgent } from './center-with-agent.ts'

const writesPerSecond = 10
/** The first is the rule that requests obey. */
const names = ['orders', 'cart', 'ledger', 'stock']
/** A center hears so soon of what another one wrote, ms. */
const heardMs = 20_000

/** Of one rule: the round that was acknowledged last, and those that were tried after it. */
interface Written {
  acknowledged: number
  readonly tried: Set<number>
  revision: string | undefined
}

export class RuleWriter {
  acknowledged = 0
  /** By center. */
  readonly acknowledgedAt: number[]
  private readonly rules = new Map<string, Written>(
    names.map((name) => [name, { acknowledged: 0, tried: new Set<number>(), revision: undefined }]),
  )
  private readonly faults: string[] = []
  private readonly bench: CenterWithAgent
  private readonly isShared: boolean
  private isOver = false
  private readonly running: Promise<void>

  constructor(bench: CenterWithAgent) {
    this.bench = bench
    this.isShared = bench.centers.length > 1
    this.acknowledgedAt = bench.centers.map(() => 0)
    this.running = this.run()
  }

  async stop(): Promise<void> {
    this.isOver = true
    await this.running
  }

  /** Behind `stop`: every center has what was acknowledged last, or tried after it, whole; requests obey it. */
  async verify(): Promise<void> {
    const { bench, faults } = this
    for (const at of bench.centers.keys())
      for (const name of names) {
        await this.compare(name, at)
        const rule = (await bench.read(name, at))!
        expect(rule.spec.http[0]?.headers.response.set[roundField], `${name} is whole`).to.equal(
          rule.metadata.annotations?.['round'],
        )
      }
    expect(faults).to.deep.equal([])
    const newest = (await bench.read('orders'))!.metadata.annotations?.['round']
    await until(30_000, 'requests obey the newest rule', async () => (await bench.ask()).headers[roundField] === newest)
  }

  private async run(): Promise<void> {
    for (let round = 1; !this.isOver; round++) {
      const next = pause(1000 / writesPerSecond)
      const name = names[round % names.length]!
      // each rule at each center
      const at = (round + Math.floor(round / names.length)) % this.bench.centers.length
      // no whole answer: the next round looks what is there
      await this.write(name, round, at).catch(() => (this.rules.get(name)!.revision = undefined))
      await next
    }
  }

  private async write(name: string, round: number, at: number): Promise<void> {
    const rule = this.rules.get(name)!
    rule.revision ??= await this.compare(name, at)
    rule.tried.add(round)
    const { status, rule: written } = await this.bench.write(name, round, rule.revision, at)
    if (status !== 200 && status !== 201) {
      // what the other one wrote a moment before it died
      const isLate = status === 409 && this.isShared
      if (status !== 503 && !isLate) this.faults.push(`${name}, round ${round}: status ${status}`)
      rule.revision = undefined
      return
    }
    rule.acknowledged = round
    rule.tried.clear()
    rule.revision = written.metadata.resourceVersion
    this.acknowledged++
    this.acknowledgedAt[at]!++
  }

  /** The revision of what is there; a fault if that is neither what was acknowledged last nor tried after it. */
  private async compare(name: string, at: number): Promise<string | undefined> {
    const { acknowledged, tried } = this.rules.get(name)!
    const deadline = performance.now() + (this.isShared ? heardMs : 0)
    for (;;) {
      const found = await this.bench.read(name, at)
      const round = Number(found?.metadata.annotations?.['round'] ?? 0)
      if (round === acknowledged || tried.has(round)) return found?.metadata.resourceVersion
      if (performance.now() > deadline) {
        this.faults.push(`${name}: found round ${round}, acknowledged ${acknowledged}, tried ${[...tried].join(', ')}`)
        return found?.metadata.resourceVersion
      }
      await pause(20)
    }
  }
}
