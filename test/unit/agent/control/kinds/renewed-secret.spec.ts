import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { readSecret } from '../../../../../agent/control/kinds/secret-file.ts'
import { renewedSecret } from '../../../../../agent/control/kinds/renewed-secret.ts'
import { recordingLog } from '../support/fake-registry.ts'
import { manualClock } from '../../../../support/manual-clock.ts'

describe('a secret whose file may be replaced', () => {
  let directory: string
  let file: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hostmesh-secret-'))
    file = join(directory, 'password')
    writeFileSync(file, 'one\n')
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const setUp = () => {
    const clock = manualClock()
    const log = recordingLog()
    const read = () => ({ password: readSecret(file) })
    const first = read()
    return { clock, log, first, secret: renewedSecret([file], first, read, { clock, log }) }
  }
  const replace = (content: string): void => {
    writeFileSync(`${file}.new`, content)
    renameSync(`${file}.new`, file)
  }

  it('is the same object while it is the same, also after it was written again', () => {
    const { clock, first, secret } = setUp()
    replace('one\n')
    clock.advance(1000)
    expect(secret()).to.equal(first)
  })

  it('is the new one a second after it was replaced, and is said without being told', () => {
    const { clock, log, secret } = setUp()
    replace('two\n')
    clock.advance(1000)
    expect(secret()).to.deep.equal({ password: 'two' })
    expect(JSON.stringify(log.lines)).to.include('credentials were replaced').and.to.not.include('two')
  })

  it('stays the last good one while the file may not even be looked at', () => {
    const { clock, first, log, secret } = setUp()
    rmSync(file)
    // as in a folder that was shut: the look itself fails
    symlinkSync(file, file)
    clock.advance(1000)
    expect(secret()).to.equal(first)
    expect(log.lines).to.have.length(1)
  })

  it('stays the last good one while the file is gone or empty, which is said once', () => {
    const { clock, log, first, secret } = setUp()
    rmSync(file)
    for (let turn = 0; turn < 5; turn++) {
      clock.advance(1000)
      expect(secret()).to.equal(first)
    }
    expect(log.lines).to.have.length(1)
    writeFileSync(file, '')
    clock.advance(1000)
    expect(secret()).to.equal(first)
    writeFileSync(file, 'three')
    clock.advance(1000)
    expect(secret()).to.deep.equal({ password: 'three' })
  })
})
