import { chmodSync, chownSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { makePrivateDirectory } from '../../../native/private-directory.ts'

describe('a directory whose files are believed', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-private-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('is made for its owner alone', () => {
    const made = join(folder, 'a', 'b')
    expect(makePrivateDirectory(made)).to.equal(undefined)
    expect(statSync(made).mode & 0o777).to.equal(0o700)
  })

  it('may be read by others, but not written', () => {
    for (const [mode, isGood] of [
      [0o700, true],
      [0o755, true],
      [0o770, false],
      [0o702, false],
      [0o1777, false],
    ] as const) {
      chmodSync(folder, mode)
      const problem = makePrivateDirectory(folder)
      if (isGood) expect(problem, mode.toString(8)).to.equal(undefined)
      else expect(problem, mode.toString(8)).to.match(/others may write to it/)
    }
  })

  it('belongs to nobody else', function () {
    if (process.getuid!() !== 0) this.skip()
    chownSync(folder, 65534, 65534)
    expect(makePrivateDirectory(folder)).to.match(/belongs to user 65534/)
  })
})
