import { expect } from 'chai'
import type { GoldenSignals } from '../../../../contracts/canary.ts'
import { Canary } from '../../../../watchdog/handoff/canary.ts'
import type { Child } from '../../../../watchdog/supervise/child.ts'
import { Generation } from '../../../../watchdog/supervise/generation.ts'
import type { GenerationDeps } from '../../../../watchdog/supervise/generation.ts'

const order = { forMs: 60_000, maxFailedPercent: 1, maxSlowerPercent: 50 }
const release = { name: 'v2', control: ['x'], worker: ['x'], workers: 2 }

const childOf = (name: string) => ({ name, evidence: () => [] }) as unknown as Child
const told = (requests: number, failed = 0): GoldenSignals => ({ requests, failed, durations: [[1, 5, requests]] })

describe('a canary', () => {
  let now: number
  let generation: Generation
  let canary: Canary
  const [own, first, second] = [childOf('worker 0'), childOf('worker 0'), childOf('worker 1')]

  beforeEach(() => {
    now = 0
    const nothing = () => {}
    generation = new Generation(2, release, 0, 'canary', { onChange: nothing, onRecord: nothing } as GenerationDeps)
    canary = new Canary(generation, own, order, () => now)
  })

  it('is compared by what was counted since it serves', () => {
    canary.hear(first, told(5000, 5000))
    canary.hear(second, told(100))
    canary.hear(own, told(200, 1))
    canary.hear(first, told(5300, 5000))
    canary.hear(second, told(200))
    const report = canary.report()
    expect([report.canary.requests, report.canary.failed]).to.deep.equal([200, 1])
    expect([report.others.requests, report.others.failed]).to.deep.equal([400, 0])
    expect(report.verdict).to.equal('running')
  })

  it('passes with the first word that it gives behind its time', async () => {
    const outcome = canary.run()
    canary.hear(first, told(0))
    canary.hear(first, told(1000))
    canary.hear(own, told(500))
    now = 60_001
    canary.hear(own, told(600))
    generation.touch()
    await outcome
    expect(generation.failure).to.equal(undefined)
    expect(canary.report()).to.include({ verdict: 'passed', servedMs: 60_001 })
    now = 90_000
    expect(canary.report().servedMs, 'while the old generation drains').to.equal(60_001)
  })

  it('is compared by its latency from half of the time on, when its code is compiled', () => {
    const late = (requests: number): GoldenSignals => ({ requests, failed: 0, durations: [[50, 100, requests]] })
    const tell = (mine: GoldenSignals, others: GoldenSignals): void => {
      canary.hear(first, others)
      canary.hear(own, mine)
    }
    tell(late(0), told(0))
    tell(late(500), told(1000))
    expect(generation.failure).to.equal(undefined)
    now = 30_000
    tell(late(600), told(2000))
    expect(generation.failure).to.equal(undefined)
    now = 32_500
    tell(late(700), told(3000))
    expect(generation.failure?.cause).to.match(/^canary: its median is 75 ms, 3 ms with the others/)
    expect(canary.report().canary).to.deep.equal({ requests: 700, failed: 0, p50Ms: 75, p95Ms: 97.5 })
  })

  it('fails at once when it is worse, with the reason', async () => {
    const outcome = canary.run()
    canary.hear(first, told(0))
    canary.hear(first, told(1000))
    canary.hear(own, told(500, 400))
    await outcome
    expect(generation.failure?.cause).to.match(/^canary: 80\.0 % of its requests failed/)
    expect(canary.report().verdict).to.equal('failed')
  })

  it('is refused by a release whose workers tell no signals', async () => {
    const outcome = canary.run()
    canary.hear(first, undefined)
    await outcome
    expect(generation.failure?.cause).to.match(/^canary: worker 0 tells no signals to compare/)
  })
})
