/** All drills one after another on a real host, with a center beside it: `npm run drills`. */
import { execFile } from 'node:child_process'
import { expect } from 'chai'
import type { DrillSeries } from '../../cli/drill/report.ts'
import { type MeshWithCenter, startMeshWithCenter } from '../support/mesh/mesh-with-center.ts'

describe('hostmesh drill all', function () {
  this.timeout(600_000)
  let started: MeshWithCenter

  before(async () => {
    started = await startMeshWithCenter()
  })

  after(() => started?.close())

  const drillAll = (...words: string[]): Promise<DrillSeries> =>
    new Promise((resolve, reject) => {
      const argv = ['cli/main.ts', 'drill', 'all', '--yes', '--json', '-c', started.alpha.configPath, ...words]
      execFile(process.execPath, argv, { maxBuffer: 64 * 1024 * 1024 }, (_error, out, err) => {
        if (out === '') reject(new Error(err))
        else resolve(JSON.parse(out) as DrillSeries)
      })
    })

  it('keeps every promise, also of what is not safe', async () => {
    const { reports, skipped } = await drillAll('--for', '5s')
    console.log(reports.map(lineOf).join('\n'))
    const broken = reports.filter(({ verdict }) => verdict !== 'kept')
    expect(broken.map(({ drill, problems }) => [drill, problems])).to.deep.equal([])
    expect(skipped.map(({ drill }) => drill)).to.deep.equal(['certificate-expiry'])
  })
})

function lineOf({ drill, probe, recoveryMs, verdict }: DrillSeries['reports'][number]): string {
  return `${drill}: ${verdict}, lost ${probe.errors} of ${probe.calls}, recovery ${Math.round(recoveryMs ?? -1)} ms`
}
