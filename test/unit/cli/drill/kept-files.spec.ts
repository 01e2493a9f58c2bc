import { expect } from 'chai'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeKeptFolder, openToAppend, writeKept } from '../../../../cli/drill/kept-files.ts'
import { claim } from '../../../../cli/drill/run-drill.ts'
import { saveReport } from '../../../../cli/drill/saved-reports.ts'
import { reportOf } from '../../../support/drill-report.ts'

const agent = 65_534

describe('what a drill leaves in the state directory', () => {
  let state: string
  let drills: string
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'hm-drills-'))
    drills = join(state, 'drills')
  })
  afterEach(() => rmSync(state, { recursive: true, force: true }))

  it("is the agent's when root drills, and for that user alone", function () {
    if (process.geteuid?.() !== 0) this.skip()
    chownSync(state, agent, agent)
    const release = claim(drills)
    const page = saveReport(reportOf({}), drills)
    closeSync(openToAppend(join(drills, 'watchdog.log')))
    for (const path of [
      drills,
      join(drills, 'running'),
      page,
      page.replace(/html$/, 'json'),
      join(drills, 'watchdog.log'),
    ])
      expect(statSync(path), path).to.include({ uid: agent, gid: agent })
    expect(statSync(drills).mode & 0o777).to.equal(0o700)
    expect(statSync(page).mode & 0o777).to.equal(0o600)
    release()
    expect(existsSync(join(drills, 'running'))).to.equal(false)
  })

  it('takes a folder over that an earlier drill left to root', function () {
    if (process.geteuid?.() !== 0) this.skip()
    mkdirSync(drills)
    chownSync(state, agent, agent)
    makeKeptFolder(drills)
    expect(statSync(drills).uid).to.equal(agent)
  })

  it('never goes where a link leads that stood in its place', () => {
    const elsewhere = join(state, 'elsewhere')
    writeFileSync(elsewhere, 'untouched')
    chmodSync(elsewhere, 0o600)
    const path = join(state, 'drill-bad-config.yaml')
    symlinkSync(elsewhere, path)
    writeKept(path, 'ours', 0o644)
    expect(readFileSync(elsewhere, 'utf8')).to.equal('untouched')
    expect(statSync(elsewhere).mode & 0o777).to.equal(0o600)
    expect(readFileSync(path, 'utf8')).to.equal('ours')
    symlinkSync(elsewhere, join(state, 'watchdog.log'))
    expect(() => openToAppend(join(state, 'watchdog.log'))).to.throw(/ELOOP/)
  })

  it('has the mode that it is given whatever the umask', () => {
    const before = process.umask(0o077)
    try {
      writeKept(join(state, 'open'), '', 0o644)
    } finally {
      process.umask(before)
    }
    expect(statSync(join(state, 'open')).mode & 0o777).to.equal(0o644)
  })
})

describe('the mark of a drill that runs', () => {
  let folder: string
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hm-mark-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('keeps a second one away', () => {
    const release = claim(folder)
    expect(() => claim(folder)).to.throw(/runs a drill on this host/)
    release()
    claim(folder)()
  })

  it('does not count when another process has the number by now, as behind a reboot', () => {
    const mark = join(folder, 'running')
    for (const left of [`${process.pid}`, `${process.pid} 1`, '999999999 1', '']) {
      writeFileSync(mark, left)
      claim(folder)()
      expect(existsSync(mark), left).to.equal(false)
    }
  })
})
