import { expect } from 'chai'
import { join } from 'node:path'
import type { AdminClient } from '../../../../cli/admin-client.ts'
import { dryRun } from '../../../../cli/commands/dry-run.ts'
import { createOutput } from '../../../../cli/output.ts'
import { noFigures } from '../../../../contracts/dry-run.ts'

describe('hostmesh rules dry-run', () => {
  it('shows what was found when another generation takes over, which knows nothing of it', async () => {
    const figures = { ...noFigures, evaluated: 5 }
    const view = { id: 'one', rule: 'VirtualService public/orders', state: 'running', hosts: [], figures }
    const answers = [view, null].map((one) => ({ status: 200, text: JSON.stringify({ dryRun: one }) }))
    const admin: AdminClient = {
      where: 'test',
      get: () => Promise.resolve(answers.shift()!),
      post: () => Promise.resolve(answers.shift()!),
      call: () => Promise.reject(new Error('not asked for')),
    }
    const written: string[] = []
    const sink = { write: (text: string) => written.push(text) }
    const output = createOutput(false, { out: sink, err: sink })
    const file = join(import.meta.dirname, 'dry-run.spec.ts')
    expect(await dryRun({ output, admin, runDir: undefined }, file, { share: 1, ms: 60_000 })).to.equal(1)
    expect(written.join('')).to.include('5 requests evaluated').and.to.include('the agent was replaced meanwhile')
  })
})
