import { expect } from 'chai'
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
