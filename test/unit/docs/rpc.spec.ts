/** The configuration in the pages on private RPC is what the check takes. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'

import { checkNode } from '../../../cli/node-kinds.ts'
import { formatProblem } from '../../../agent/control/config/problem.ts'

const pages = ['docs/rpc.md', 'docs/rpc-own-protocol.md', 'docs/sofa-face.md']

function blocksOf(page: string): string[] {
  return [...readFileSync(page, 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!)
}

describe('the configuration in the documentation of private RPC', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-rpc-docs-'))
    mkdirSync(join(folder, 'services.d'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  for (const page of pages)
    it(`of ${page} is accepted`, () => {
      const blocks = blocksOf(page)
      expect(blocks.length).to.be.above(0)
      for (const text of blocks) {
        const isApplication = text.startsWith('# services.d')
        const kept = `runDir: run\nstateDir: state\n`
        writeFileSync(join(folder, 'agent.yaml'), isApplication ? kept : `${text}${kept}`)
        writeFileSync(join(folder, 'services.d', 'one.yaml'), isApplication ? text : 'service: one\nport: 8080\n')
        const { config, problems } = checkNode(join(folder, 'agent.yaml'), {
          kernelPorts: { ephemeral: undefined, reserved: [] },
        })
        const errors = problems.filter(({ severity }) => severity === 'error').map(formatProblem)
        expect([config !== undefined, errors], text).to.deep.equal([true, []])
      }
    })

  it('is the example of a protocol of one’s own, in no more than thirty lines', () => {
    const [shown] = blocksOf('docs/rpc-own-protocol.md') as [string]
    expect(shown).to.equal(readFileSync('examples/rpc/mainstay.yaml', 'utf8').replaceAll(/^#.*\n/gm, ''))
    expect(shown.trim().split('\n').length).to.be.at.most(30)
  })
})
