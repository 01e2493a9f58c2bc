import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { AdminContext } from '../../../../../agent/control/admin/context.ts'
import type { AdminRequest } from '../../../../../agent/control/admin/http.ts'
import { changePages } from '../../../../../agent/control/admin/pages-change.ts'
import { StatsMerger } from '../../../../../agent/control/admin/stats.ts'
import { StateDirectory } from '../../../../../agent/control/core/state/state-directory.ts'
import type { StateDirectoryDeps } from '../../../../../agent/control/core/state/state-directory.ts'
import { stateFiles } from '../../../../../contracts/run-directory.ts'
import { manualClock } from '../../../../support/manual-clock.ts'

const quiet = { info() {}, error() {}, count() {}, gauge() {} }
const requests = {
  name: 'requests',
  kind: 'counter',
  help: 'all',
  labelNames: [],
  samples: [{ labels: [], value: 1000 }],
} as const

describe('/reset_counters', () => {
  it('forgets the counters of dead workers for the next control, too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hostmesh-counters-'))
    try {
      const deps = { clock: manualClock(), log: quiet, metrics: quiet } as unknown as StateDirectoryDeps
      const state = new StateDirectory(folder, deps)
      const stats = new StatsMerger()
      state.keep(stateFiles.counters, 1, 0, () => stats.exportRetired())
      state.setEnabled(true)
      stats.adopt([requests])
      state.changed(stateFiles.counters)
      await state.flush(stateFiles.counters)
      expect(state.read(stateFiles.counters, 1)).to.deep.equal([requests])

      const core = { publisher: { ask: () => Promise.resolve({ answers: [], problems: [] }) } }
      const pages = changePages({ control: { core, state }, stats } as unknown as AdminContext)
      await pages.find(({ path }) => path === '/reset_counters')!.answer({} as AdminRequest)
      const next = new StatsMerger()
      next.adopt(new StateDirectory(folder, deps).read(stateFiles.counters, 1))
      expect(next.merged([])).to.deep.equal([])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
