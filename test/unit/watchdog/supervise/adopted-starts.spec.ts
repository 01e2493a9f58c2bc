import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Generation } from '../../../../watchdog/supervise/generation.ts'
import { Recovery } from '../../../../watchdog/supervise/recovery.ts'
import type { RecoveryDeps } from '../../../../watchdog/supervise/recovery.ts'
import { ProcessTree } from '../../../../watchdog/supervise/tree.ts'
import { testOptions } from '../../../support/continuity/watchdog-options.ts'

describe('a generation that serves and was adopted without its control', () => {
  const sleeper = ['/bin/sh', '-c', 'exec sleep 600', 'sleeper']
  const release = { name: 'v1', control: sleeper, worker: sleeper, workers: 1 }
  let runDir: string
  let adopted: Generation
  let recovery: Recovery

  const adopt = (phase: 'serving' | 'draining'): void => {
    const nothing = (): void => {}
    runDir = mkdtempSync(join(tmpdir(), 'hm-recovery-'))
    adopted = new Generation(1, release, 0, phase, {
      runDir,
      now: () => 0,
      restarts: testOptions.restarts,
      onChildEnd: nothing,
      onErrorText: nothing,
      onChange: nothing,
      onRecord: nothing,
    })
    const deadlines = { ...testOptions.deadlines, startMs: 1 }
    const options = { ...testOptions, deadlines }
    recovery = new Recovery({ options, tree: new ProcessTree(), log: nothing } as unknown as RecoveryDeps)
  }

  afterEach(async () => {
    recovery.stop()
    adopted.killAll('the test is over')
    await adopted.waitFor(() => adopted.living.length === 0, 60_000)
    rmSync(runDir, { recursive: true, force: true })
  })

  it('gets one, which is ended when it is not ready in the time of a start', async () => {
    adopt('serving')
    adopted.startChild('worker', 0).isReady = true
    recovery.complete(adopted)
    const { control } = adopted
    expect(await adopted.waitFor(() => control!.isGone, 60_000)).to.equal(true)
    expect(control!.killedFor).to.equal('not up after 1 ms')
    expect(adopted.child('worker', 0)!.isGone).to.equal(false)
  })

  it('has its worker ended that was being started when the watchdog died and never gets ready', async () => {
    adopt('serving')
    const worker = adopted.startChild('worker', 0)
    recovery.complete(adopted)
    expect(await adopted.waitFor(() => worker.isGone, 60_000)).to.equal(true)
    expect(worker.killedFor).to.equal('not up after 1 ms')
  })

  it('gets none any more when it was replaced meanwhile', () => {
    adopt('draining')
    recovery.complete(adopted)
    expect(adopted.living).to.deep.equal([])
  })
})
