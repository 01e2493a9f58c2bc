import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { GenerationPhase, Release } from '../../../../contracts/handoff.ts'
import { adoptFrom } from '../../../../watchdog/supervise/adoption.ts'
import type { GenerationDeps } from '../../../../watchdog/supervise/generation.ts'
import { processFacts } from '../../../../native/process-facts.ts'
import { readRunRecord, writeRunRecord } from '../../../../watchdog/supervise/run-record.ts'
import type { GenerationRecord } from '../../../../watchdog/supervise/run-record.ts'
import { ProcessTree } from '../../../../watchdog/supervise/tree.ts'
import { keepWayBack, openProbation } from '../../../../watchdog/supervise/way-back.ts'

const probationMs = 30_000
/** Each time another object: as one that was read again. */
const releaseOf = (name: string): Release => ({ name, control: ['/bin/true'], worker: ['/bin/true'], workers: 1 })

describe('the way back of a host', () => {
  let tree: ProcessTree
  let now: number
  let served: { readonly number: number; readonly release: Release } | undefined

  beforeEach(() => {
    tree = new ProcessTree()
    now = 1_000_000
    served = undefined
  })

  const takeOver = (name: string, isTakenBack = false): void => {
    const generation = { number: (served?.number ?? 0) + 1, release: releaseOf(name) }
    keepWayBack(tree, { generation, from: served, isTakenBack, now, probationMs })
    served = generation
  }
  const probation = () => openProbation(tree, now, probationMs)

  it('leads to the release before the present one, also when that is started again', () => {
    takeOver('v1')
    expect(tree.previousRelease).to.equal(undefined)
    takeOver('v2')
    takeOver('v2')
    expect(tree.previousRelease?.name).to.equal('v1')
  })

  it('is open to a generation that misbehaves until its probation is over', () => {
    takeOver('v1')
    takeOver('v2')
    now += probationMs
    expect(probation()).to.deep.include({ generation: 2, release: releaseOf('v1') })
    now += 1
    expect(probation()).to.equal(undefined)
  })

  it('leads where it led when a release on probation is started again, for another probation', () => {
    takeOver('v1')
    takeOver('v2')
    now += probationMs - 1
    takeOver('v2')
    now += probationMs - 1
    expect(probation()).to.deep.include({ generation: 3, release: releaseOf('v1') })
  })

  it('leads to the same release when one is started again that has proven itself', () => {
    takeOver('v1')
    takeOver('v2')
    now += probationMs + 1
    takeOver('v2')
    expect(probation()).to.deep.include({ generation: 3, release: releaseOf('v2') })
    expect(tree.previousRelease?.name).to.equal('v1')
  })

  it('does not lead to a release that was taken back', () => {
    takeOver('v1')
    takeOver('v2')
    takeOver('v1', true)
    expect(tree.previousRelease).to.equal(undefined)
    expect(probation()).to.equal(undefined)
  })

  it('stays when a misbehaving generation is replaced by one of the same release', () => {
    takeOver('v1')
    takeOver('v2')
    now += probationMs + 1
    takeOver('v2', true)
    expect(tree.previousRelease?.name).to.equal('v1')
  })

  it('does not lead to what runs, where the release before was started because the present one did not', () => {
    takeOver('v1')
    takeOver('v2')
    served = undefined
    takeOver('v1')
    expect(tree.previousRelease).to.equal(undefined)
  })

  it('is not that of an earlier boot', () => {
    tree.probation = { generation: 1, release: releaseOf('v1'), until: now + probationMs + 1 }
    expect(probation()).to.equal(undefined)
  })

  describe('whose watchdog died', () => {
    let runDir: string
    let next: ProcessTree
    /** Of every generation. */
    let worker: ChildProcess

    beforeEach(async () => {
      runDir = mkdtempSync(join(tmpdir(), 'hm-way-back-'))
      next = new ProcessTree()
      worker = spawn('sleep', ['600'], { stdio: 'ignore' })
      await once(worker, 'spawn')
    })

    afterEach(async () => {
      worker.kill('SIGKILL')
      await once(worker, 'exit')
      for (const { living } of next.generations) for (const child of living) child.look()
      rmSync(runDir, { recursive: true, force: true })
    })

    const recordOf = (number: number, phase: GenerationPhase, name: string): GenerationRecord => {
      const pid = worker.pid!
      const { startedAtTicks } = processFacts(pid)!
      const children = [{ role: 'worker', index: 0, pid, startedAtTicks }] as const
      return { number, phase, release: releaseOf(name), startedAt: 0, children }
    }

    const adopt = (): void => {
      const nothing = (): void => {}
      const restarts = { probationMs } as GenerationDeps['restarts']
      const hooks = { onChildEnd: nothing, onErrorText: nothing, onChange: nothing, onRecord: nothing }
      const generation: GenerationDeps = { runDir, now: () => now, restarts, ...hooks }
      adoptFrom(readRunRecord(runDir)!, { tree: next, generation, log: nothing })
    }

    it('is found by the next one, and for as long as it was promised', () => {
      takeOver('v1')
      takeOver('v2')
      writeRunRecord(runDir, { ...tree.record(), generations: [recordOf(2, 'serving', 'v2')] })
      now += 1000
      adopt()
      expect(next.previousRelease).to.deep.equal(releaseOf('v1'))
      expect(openProbation(next, now, probationMs)).to.deep.equal(tree.probation)
      expect(openProbation(next, now + probationMs, probationMs)).to.equal(undefined)
    })

    it('while a generation took over leads to the one that served', () => {
      takeOver('v1')
      takeOver('v2')
      now += probationMs + 1
      const generations = [recordOf(3, 'taking-over', 'v3'), recordOf(2, 'serving', 'v2')]
      writeRunRecord(runDir, { ...tree.record(), generations })
      adopt()
      expect(next.current?.number).to.equal(3)
      expect(next.previousRelease).to.deep.equal(releaseOf('v2'))
      expect(openProbation(next, now, probationMs)).to.deep.include({ generation: 3, release: releaseOf('v2') })
    })

    it('is the rollback alone where a release wrote the record that keeps its probations to itself', () => {
      const record = { lastNumber: 2, previousRelease: releaseOf('v1'), generations: [recordOf(2, 'serving', 'v2')] }
      writeFileSync(join(runDir, 'watchdog.json'), JSON.stringify({ format: 1, ...record }))
      adopt()
      expect(next.current?.number).to.equal(2)
      expect(next.previousRelease).to.deep.equal(releaseOf('v1'))
      expect(openProbation(next, now, probationMs)).to.equal(undefined)
    })
  })
})
