import { expect } from 'chai'
import type { Child } from '../../../../watchdog/supervise/child.ts'
import type { Generation } from '../../../../watchdog/supervise/generation.ts'
import { Liveness } from '../../../../watchdog/supervise/liveness.ts'

interface Seen {
  readonly suspects: number[]
  readonly recovered: number[]
  readonly hangs: string[]
  readonly unhealthy: string[]
}

function setUp(options: { rssBytes?: number } = {}): {
  liveness: Liveness
  child: Child
  seen: Seen
  pass: (ms: number, answers?: boolean) => void
} {
  let now = 0
  const sent: number[] = []
  const child = {
    role: 'worker',
    index: 3,
    isReady: true,
    isServing: true,
    isProbing: false,
    pingId: 0,
    probe: undefined,
    rssBytes: options.rssBytes ?? 0,
    stream: {},
    send: (message: { id: number }) => sent.push(message.id),
    measure: () => {},
    evidence: () => [],
  } as unknown as Child
  const generation = { phase: 'serving', number: 1, living: [child] } as unknown as Generation
  const seen: Seen = { suspects: [], recovered: [], hangs: [], unhealthy: [] }
  const liveness = new Liveness({
    options: { periodMs: 1500, suspectMs: 1000, deadMs: 4000 },
    maxChildBytes: 100,
    now: () => now,
    generations: () => [generation],
    onSuspect: (_generation, one) => seen.suspects.push(one.index),
    onAnswerAgain: (_generation, one) => seen.recovered.push(one.index),
    onHang: (_one, problem) => seen.hangs.push(problem),
    onDeaf: (_generation, problem) => seen.unhealthy.push(problem.cause),
    onUnhealthy: (_generation, problem) => seen.unhealthy.push(problem.cause),
  })
  const pass = (ms: number, answers = false): void => {
    for (let gone = 0; gone < ms; gone += 500) {
      now += 500
      liveness.tick()
      if (answers && sent.length > 0) liveness.onPong(child, sent.at(-1)!, 0, 0)
    }
  }
  return { liveness, child, seen, pass }
}

describe('liveness', () => {
  it('leaves a process alone that answers', () => {
    const { seen, pass } = setUp()
    pass(60_000, true)
    expect(seen).to.deep.equal({ suspects: [], recovered: [], hangs: [], unhealthy: [] })
  })

  it('suspects a silent process first, and declares it hung at its time', () => {
    const { seen, pass } = setUp()
    pass(2000)
    expect(seen).to.deep.include({ suspects: [3], hangs: [] })
    pass(3000)
    expect(seen.hangs[0]).to.match(/no answer for 4\d\d\d ms/)
  })

  it('takes a suspicion back when the answer comes', () => {
    const { seen, pass } = setUp()
    pass(2000)
    pass(500, true)
    pass(1000, true)
    expect(seen).to.deep.include({ suspects: [3], recovered: [3], hangs: [] })
  })

  it('does not hold its own sleep against others', () => {
    const { liveness, seen, pass } = setUp()
    pass(500)
    // A jump of the clock inside one tick: this process was stopped.
    const asleep = liveness as unknown as { lastTickAt: number }
    asleep.lastTickAt = -10_000
    pass(500)
    pass(1000, true)
    expect(seen.hangs).to.deep.equal([])
  })

  it('ignores an answer to an older question', () => {
    const { liveness, child, seen, pass } = setUp()
    pass(500)
    liveness.onPong(child, 0, 0, 0)
    pass(5000)
    expect(seen.hangs).to.not.deep.equal([])
  })

  it('reports memory above the bound', () => {
    const { seen, pass } = setUp({ rssBytes: 200 * 1_048_576 })
    pass(500, true)
    expect(seen.unhealthy[0]).to.include('worker 3 of generation 1: 200 MiB resident')
  })
})
