import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Release, RestartReport } from '../../../../contracts/handoff.ts'
import { Replacement } from '../../../../watchdog/handoff/replacement.ts'
import type { ReplacementDeps } from '../../../../watchdog/handoff/replacement.ts'
import type { GenerationDeps } from '../../../../watchdog/supervise/generation.ts'
import { ProcessTree } from '../../../../watchdog/supervise/tree.ts'
import { testOptions } from '../../../support/continuity/watchdog-options.ts'

describe('a replacement whose new generation cannot be brought up', () => {
  let runDir: string
  let tree: ProcessTree
  let replacement: Replacement
  let onRecord: () => void

  beforeEach(() => {
    runDir = mkdtempSync(join(tmpdir(), 'hm-replacement-'))
    tree = new ProcessTree()
    onRecord = () => {}
    const nothing = (): void => {}
    const generation: Partial<GenerationDeps> = {
      runDir,
      now: () => 0,
      restarts: testOptions.restarts,
      onChildEnd: (failed, child, { how }) => (failed.failure ??= { cause: `${child.name}: ${how}`, evidence: [] }),
      onErrorText: nothing,
      onChange: nothing,
      onRecord: () => onRecord(),
    }
    const deps = {
      tree,
      generation,
      deadlines: testOptions.deadlines,
      reports: { save: nothing },
      log: nothing,
      now: () => 0,
      wallClock: () => 0,
      onGivenBack: nothing,
    }
    replacement = new Replacement(deps as unknown as ReplacementDeps)
  })

  afterEach(() => rmSync(runDir, { recursive: true, force: true }))

  const tryIt = (program: string): Promise<RestartReport> => {
    const release: Release = { name: 'v2', control: [program], worker: [program], workers: 2 }
    return replacement.replace('upgrade', release, 'serving')
  }

  it('for the system refuses its program has failed, and the next is not refused', async () => {
    // such a reason is thrown by `spawn`; of a program that is still written (ETXTBSY) it is the same
    const program = join(import.meta.filename, 'node')
    for (const number of [1, 2]) {
      const report = await tryIt(program)
      expect(report).to.include({ outcome: 'failed', to: number })
      expect(report.cause).to.match(/^control: could not be started: .*ENOTDIR/)
      expect(tree.next).to.equal(undefined)
    }
  })

  it('for something is thrown meanwhile has failed, and the next is not refused', async () => {
    onRecord = () => {
      onRecord = () => {}
      throw new Error('no room for a record')
    }
    expect(await tryIt(process.execPath)).to.include({ outcome: 'failed', to: 1, cause: 'no room for a record' })
    expect(tree.next).to.equal(undefined)
    expect(await tryIt(join(import.meta.dirname, 'nothing'))).to.include({ outcome: 'failed', to: 2 })
  })
})
