import { chmodSync, chownSync, lchownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { distrustOf, makePrivateDirectory } from '../../../native/private-directory.ts'

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

  it('stands below nothing that somebody else owns or may write to', function () {
    const parent = join(folder, 'parent')
    const inner = join(parent, 'run')
    expect(makePrivateDirectory(inner)).to.equal(undefined)
    for (const mode of [0o770, 0o707, 0o777]) {
      chmodSync(parent, mode)
      expect(makePrivateDirectory(inner), mode.toString(8)).to.equal(
        `others may write to ${parent} (mode ${mode.toString(8)}); chmod go-w it`,
      )
    }
    chmodSync(parent, 0o1777)
    expect(makePrivateDirectory(inner), 'a sticky one').to.equal(undefined)
    chmodSync(parent, 0o755)
    if (process.getuid!() !== 0) this.skip()
    chownSync(parent, 65534, 65534)
    expect(makePrivateDirectory(inner)).to.include(`${parent} belongs to user 65534`)
  })

  it('is found over links that nobody else made, and over nobody else’s', function () {
    const [real, link, chain] = [join(folder, 'real'), join(folder, 'link'), join(folder, 'chain')]
    mkdirSync(real, { mode: 0o700 })
    symlinkSync('real', link)
    symlinkSync(link, chain)
    expect(makePrivateDirectory(join(chain, 'run'))).to.equal(undefined)
    chmodSync(real, 0o777)
    expect(makePrivateDirectory(join(chain, 'run'))).to.include(`others may write to ${real}`)
    chmodSync(real, 0o700)
    if (process.getuid!() !== 0) this.skip()
    lchownSync(link, 65534, 65534)
    expect(makePrivateDirectory(join(chain, 'run'))).to.include(`${link} belongs to user 65534`)
    symlinkSync('around', join(folder, 'around'))
    expect(() => makePrivateDirectory(join(folder, 'around'))).to.throw(/EEXIST|ELOOP/)
    expect(distrustOf(join(folder, 'around'))).to.match(/links lead to it/)
  })
})
