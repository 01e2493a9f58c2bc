import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { expect } from 'chai'
import type { Release, RestartReport } from '../../../../contracts/handoff.ts'
import { Backoff } from '../../../../watchdog/supervise/backoff.ts'
import type { Child } from '../../../../watchdog/supervise/child.ts'
import { testOptions } from '../../../support/continuity/watchdog-options.ts'
import { Generation } from '../../../../watchdog/supervise/generation.ts'
import type { GenerationDeps } from '../../../../watchdog/supervise/generation.ts'
import { Recovery } from '../../../../watchdog/supervise/recovery.ts'
import type { RecoveryDeps } from '../../../../watchdog/supervise/recovery.ts'
import { ProcessTree } from '../../../../watchdog/supervise/tree.ts'

describe('a generation that failed and gives its connections back', () => {
  const problem = { cause: 'worker 0 of generation 2: 200 MiB resident', evidence: [] }
  const release = { name: 'v2', control: ['x'], worker: ['x'], workers: 1 }
  let tree: ProcessTree
  let failed: Generation
  let recovery: Recovery
  let relays: boolean | undefined

  beforeEach(() => {
    const nothing = () => {}
    tree = new ProcessTree()
    failed = new Generation(2, release, 0, 'failed', { onChange: nothing, onRecord: nothing } as GenerationDeps)
    tree.next = failed
    relays = undefined
    const relay = { start: () => (relays = true), stop: () => (relays = false) }
    recovery = new Recovery({
      options: testOptions,
      tree,
      relay,
      now: () => 0,
      log: nothing,
    } as unknown as RecoveryDeps)
  })

  it('has its time for that, whatever else is wrong with it', async () => {
    let isOver = false
    const gone = failed.waitFor(() => isOver, 60_000)
    recovery.onUnhealthy(failed, problem)
    recovery.onDeaf(failed, problem)
    expect(failed.failure).to.equal(undefined)
    isOver = true
    failed.touch()
    expect(await gone).to.equal(true)
  })

  it('is nobody who accepts: when the serving one dies meanwhile, the relay does', () => {
    const withWorker = (isServing: boolean): Partial<Generation> => ({
      workers: [{ isServing, index: 0 } as Child],
      covers: new Map(),
      isServing,
      phase: 'failed',
    })
    tree.next = withWorker(true) as Generation
    tree.current = withWorker(true) as Generation
    recovery.keepAccepting()
    expect(relays).to.equal(false)
    tree.current = withWorker(false) as Generation
    recovery.keepAccepting()
    expect(relays).to.equal(true)
  })
})

describe('a generation that serves and misbehaves', () => {
  const problem = { cause: 'worker 0 of generation 2: answers nobody', evidence: [] }
  const releaseOf = (name: string): Release => ({ name, control: ['x'], worker: ['x'], workers: 1 })
  let tree: ProcessTree
  let now: number
  let recovery: Recovery
  let asked: string[]
  let outcome: RestartReport['outcome']
  let started: Child[]
  let places: Map<number, Child>

  const workerOf = (index: number): Child =>
    ({ role: 'worker', index, name: `worker ${index}`, isGone: false, evidence: () => [] }) as unknown as Child

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] })
    now = 1000
    asked = []
    outcome = 'failed'
    started = []
    places = new Map([0, 1].map((index) => [index, workerOf(index)]))
    tree = new ProcessTree()
    const generation = {
      number: 2,
      release: releaseOf('v2'),
      phase: 'serving',
      covers: new Map(),
      get workers() {
        return [...places.values()]
      },
      child: (_role: string, index: number) => places.get(index),
      backoff: () => new Backoff(testOptions.restarts),
      startChild: (_role: string, index: number) => {
        const child = workerOf(index)
        started.push(child)
        places.set(index, child)
        return child
      },
    }
    tree.current = generation as unknown as Generation
    const replace = (kind: string, { name }: Release): Promise<RestartReport> => {
      asked.push(`${kind} ${name}`)
      return Promise.resolve({ outcome } as RestartReport)
    }
    const nothing = (): void => {}
    recovery = new Recovery({
      options: testOptions,
      tree,
      relay: { start: nothing, stop: nothing },
      replacement: () => ({ replace }),
      now: () => now,
      log: nothing,
    } as unknown as RecoveryDeps)
  })

  afterEach(() => mock.timers.reset())

  const die = (index: number): void => {
    const child = places.get(index)!
    child.isGone = true
    recovery.onChildEnd(tree.current!, child, { how: 'exit code 7', isClean: false })
  }

  it('is taken back while it is on probation, once, and its way back stays until the other one serves', async () => {
    tree.previousRelease = releaseOf('v1')
    tree.probation = { generation: 2, release: releaseOf('v1'), until: now }
    recovery.onDeaf(tree.current!, problem)
    recovery.onDeaf(tree.current!, problem)
    await setImmediate()
    expect(asked).to.deep.equal(['recovery v1'])
    expect(tree.previousRelease).to.deep.equal(releaseOf('v1'))
  })

  it('is left alone when its probation is over, or was that of another one', () => {
    tree.probation = { generation: 2, release: releaseOf('v1'), until: now - 1 }
    recovery.onDeaf(tree.current!, problem)
    tree.probation = { generation: 1, release: releaseOf('v1'), until: now }
    recovery.onDeaf(tree.current!, problem)
    expect(asked).to.deep.equal([])
  })

  it('keeps its way back when a fresh one of the same release replaces it', async () => {
    outcome = 'done'
    tree.previousRelease = releaseOf('v1')
    recovery.onUnhealthy(tree.current!, problem)
    await setImmediate()
    expect(asked).to.deep.equal(['recovery v2'])
    expect(tree.previousRelease).to.deep.equal(releaseOf('v1'))
  })

  it('has each dead process started again once, also when a replacement failed before its pause was over', async () => {
    die(0)
    recovery.onUnhealthy(tree.current!, problem)
    die(1)
    await setImmediate()
    mock.timers.tick(testOptions.restarts.lastPauseMs)
    expect(started.map(({ index }) => index)).to.have.members([0, 1])
  })
})
