import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accessProblem, portAccess } from '../../../global-mesh-center/port-access.ts'
import { manualClock } from '../../support/manual-clock.ts'

describe('access to a port of a center', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-access-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const good = `- { user: alice, token: ${'a'.repeat(32)}, role: admin }\n`

  it('is a fault while the file of tokens lets nobody in, and none again when it is mended', () => {
    const clock = manualClock()
    const tokensFile = join(folder, 'tokens')
    const write = (text: string): void => {
      writeFileSync(tokensFile, text, { mode: 0o600 })
      clock.advance(5000)
    }
    write(good)
    const access = portAccess({ tls: undefined, tokensFile } as Parameters<typeof portAccess>[0], clock)
    expect(accessProblem('rulesApi', access)).to.equal(undefined)
    write('- { user: alice')
    expect(accessProblem('rulesApi', access)).to.equal(
      `rulesApi.tokensFile: nobody is let in: ${tokensFile}: broken YAML`,
    )
    write(`# again\n${good}`)
    expect(accessProblem('rulesApi', access)).to.equal(undefined)
  })

  it('is none where no file is named', () => {
    const access = portAccess(
      { tls: undefined, tokensFile: undefined } as Parameters<typeof portAccess>[0],
      manualClock(),
    )
    expect(accessProblem('xds', access)).to.equal(undefined)
  })
})
