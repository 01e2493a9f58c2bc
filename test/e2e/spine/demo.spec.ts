import { execFile } from 'node:child_process'
import { expect } from 'chai'
import type { StepResult } from '../../../cli/demo/scenario.ts'
import { needsNacos, startNacos } from '../../support/nacos/server.ts'

interface Verdict {
  readonly kept: boolean
  readonly results: readonly StepResult[]
}

function demoOnce(...argv: string[]): Promise<{ code: number; verdict: Verdict; errors: string }> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['cli/main.ts', 'demo', '--once', '--json', ...argv], (error, out, errors) => {
      const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : 1
      try {
        resolve({ code, verdict: JSON.parse(out) as Verdict, errors })
      } catch {
        reject(new Error(`exit ${code}: ${out}${errors}`))
      }
    })
  })
}

describe('the demo', function () {
  this.timeout(180_000)

  it('keeps every promise of its scenario and exits 0', async () => {
    const { code, verdict } = await demoOnce()
    expect(verdict.results.filter((result) => !result.isKept)).to.deep.equal([])
    expect(verdict.results.length).to.be.at.least(7)
    expect(code).to.equal(0)
  })

  it('runs with a real Nacos as well', async function () {
    await needsNacos(this)
    const nacos = await startNacos({})
    try {
      const { code, verdict } = await demoOnce('--nacos', nacos.address)
      expect(verdict.results.filter((result) => !result.isKept)).to.deep.equal([])
      expect(code).to.equal(0)
    } finally {
      await nacos.stop()
    }
  })
})
