import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import type { WatchdogToChild, WorkerLoad } from '../../../../contracts/handoff.ts'
import type { Child } from '../../../../watchdog/supervise/child.ts'
import type { Generation } from '../../../../watchdog/supervise/generation.ts'
import { Liveness } from '../../../../watchdog/supervise/liveness.ts'

const pong = (id: number, active?: number) =>
  ({ type: 'pong', id, lagMs: 0, connections: 0, ...(active !== undefined && { active }) }) as const

type Ping = Extract<WatchdogToChild, { type: 'ping' }>

interface Seen {
  readonly suspects: number[]
  readonly recovered: number[]
  readonly hangs: string[]
  readonly unhealthy: string[]
}

function setUp(options: { rssBytes?: number; now?: () => number; suspectMs?: number } = {}): {
  liveness: Liveness
  child: Child
  seen: Seen
  pass: (ms: number, answers?: boolean) => void
} {
  let now = 0
  const sent: number[] = []
  const child = {
    role: 'worker',
    name: 'worker 3',
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
    options: { periodMs: 1500, suspectMs: options.suspectMs ?? 1000, deadMs: 4000 },
    maxChildBytes: 100,
    now: options.now ?? (() => now),
    generations: () => [generation],
    canary: () => undefined,
    onSignals: () => {},
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
      if (answers && sent.length > 0) liveness.onPong(child, pong(sent.at(-1)!))
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

  it('hears the answers that came while it was held up before it suspects anybody', async () => {
    // answers at once, also while this process does something else
    const echo = spawn('cat', { stdio: ['pipe', 'pipe', 'ignore'] })
    const { promise: answered, resolve } = Promise.withResolvers<void>()
    const { liveness, child, seen } = setUp({ now: () => performance.now(), suspectMs: 300 })
    Object.assign(child, {
      send: ({ id }: { id: number }) => {
        echo.stdin.write(`${id}`)
        setImmediate(() => {
          const until = performance.now() + 1200
          while (performance.now() < until);
        })
      },
    })
    echo.stdout.on('data', (bytes: Buffer) => {
      liveness.onPong(child, pong(Number(bytes.toString())))
      resolve()
    })
    try {
      liveness.start()
      await answered
      await new Promise((next) => setImmediate(next))
      expect(seen).to.deep.equal({ suspects: [], recovered: [], hangs: [], unhealthy: [] })
    } finally {
      liveness.stop()
      echo.kill('SIGKILL')
      await once(echo, 'close')
    }
  })

  it('ignores an answer to an older question', () => {
    const { liveness, child, seen, pass } = setUp()
    pass(500)
    liveness.onPong(child, pong(0))
    pass(5000)
    expect(seen.hangs).to.not.deep.equal([])
  })

  it('reports memory above the bound', () => {
    const { seen, pass } = setUp({ rssBytes: 200 * 1_048_576 })
    pass(500, true)
    expect(seen.unhealthy[0]).to.include('worker 3 of generation 1: 200 MiB resident')
  })

  it('tells each serving worker how busy all of them are, once there are some that said so', () => {
    let now = 0
    const canaries: unknown[] = []
    let tried: { worker: Child; number: number } | undefined
    const sent = new Map<number, (readonly WorkerLoad[] | undefined)[]>()
    const childOf = (role: string, index: number) => {
      const pings: (readonly WorkerLoad[] | undefined)[] = []
      if (role === 'worker') sent.set(index, pings)
      return {
        role,
        index,
        isReady: true,
        isServing: true,
        pingId: 0,
        stream: {},
        send: ({ canary, wantsSignals, workers }: Ping) => {
          pings.push(workers)
          if (wantsSignals === true) canaries.push([index, canary])
        },
        rssBytes: 0,
        measure: () => {},
      } as unknown as Child
    }
    const [control, first, second] = [childOf('control', 0), childOf('worker', 0), childOf('worker', 1)]
    const generation = { phase: 'serving', number: 1, living: [control, first, second] } as unknown as Generation
    const nothing = () => {}
    const heard: number[] = []
    const liveness = new Liveness({
      options: { periodMs: 1500, suspectMs: 1000, deadMs: 40_000 },
      maxChildBytes: 100,
      now: () => now,
      generations: () => [generation],
      canary: () => tried,
      onSignals: (child) => heard.push(child.index),
      onSuspect: nothing,
      onAnswerAgain: nothing,
      onHang: nothing,
      onDeaf: nothing,
      onUnhealthy: nothing,
    })
    const round = (answers: readonly (number | undefined)[]): void => {
      for (let tick = 0; tick < 3; tick++) {
        now += 500
        liveness.tick()
        for (const [index, child] of [first, second].entries()) {
          if (answers[index] !== undefined) liveness.onPong(child, pong(child.pingId, answers[index]))
        }
        liveness.onPong(control, pong(control.pingId))
      }
    }
    round([9, 3])
    round([8, 4])
    expect(sent.get(0)!.at(-1)).to.deep.equal([
      { index: 0, active: 9 },
      { index: 1, active: 3 },
    ])
    expect(sent.get(0)![0], 'nothing is known at first').to.equal(undefined)
    round([8, undefined])
    round([8, undefined])
    expect(sent.get(0)!.at(-1), 'one that does not answer is left out, and one alone has nothing to compare').to.equal(
      undefined,
    )
    tried = { worker: Object.assign(childOf('worker', 5), { active: 2 }), number: 2 }
    round([8, undefined])
    expect(canaries, 'signals are asked of workers, and the canary is told').to.deep.equal([
      [0, { index: 5, active: 2, generation: 2 }],
    ])
    expect(heard).to.deep.equal([0])
  })
})
