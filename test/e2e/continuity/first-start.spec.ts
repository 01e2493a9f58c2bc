import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { WatchdogState } from '../../../contracts/handoff.ts'
import { KeepAliveCaller } from '../../support/continuity/callers.ts'
import { startFarSide } from '../../support/continuity/far-side.ts'
import { startRealWorkers } from '../../support/continuity/real-workers.ts'
import { WatchdogHost } from '../../support/continuity/watchdog-host.ts'

describe('the first start of a host', function () {
  this.timeout(120_000)
  let host: WatchdogHost

  afterEach(async () => {
    expect(await host.end(), 'processes left').to.deep.equal([])
  })

  it('serves as soon as its worker is ready, before its control is', async () => {
    host = await WatchdogHost.begin({ behave: { control: 'late' } })
    const early = await host.until(
      (state) => state.generations[0]?.children.some(({ role, isServing }) => role === 'worker' && isServing) === true,
      'the worker serves',
    )
    expect(early.generations[0]!.phase).to.equal('starting')
    expect(early.generations[0]!.children.find(({ role }) => role === 'control')?.isReady).to.equal(false)
    const caller = await KeepAliveCaller.connect(host.httpPort)
    expect((await caller.get()).status).to.equal(200)
    writeFileSync(join(host.runDir, 'control-may-be-ready'), '')
    const whole = await host.until((state) => host.serving(state) !== undefined, 'the generation serves')
    expect(whole.reports[0]).to.include({ outcome: 'done', to: 1 })
    // the same worker, the same connection
    expect((await caller.get()).status).to.equal(200)
    expect(pidsOf(whole)).to.deep.equal(pidsOf(early))
    caller.close()
  })

  it('writes compiled code for the next one before anybody calls, not while callers wait for it', async () => {
    const compiled = mkdtempSync(join(tmpdir(), 'hm-compiled-'))
    const provider = await startFarSide('provider', false)
    try {
      host = await startRealWorkers(provider, { workers: 1, environment: { NODE_COMPILE_CACHE: compiled } })
      // by far more than its control and its watchdog have of their own
      expect(readdirSync(compiled, { recursive: true })).to.have.length.above(200)
    } finally {
      await provider.close()
      rmSync(compiled, { recursive: true, force: true })
    }
  })
})

const pidsOf = (state: WatchdogState): number[] => state.generations[0]!.children.map(({ pid }) => pid)
