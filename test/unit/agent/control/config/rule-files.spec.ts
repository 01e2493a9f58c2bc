import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { readRuleFiles } from '../../../../../agent/control/config/rule-files.ts'

describe('the files of rules.d', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-rules-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('are its YAML files in order of name', () => {
    for (const name of ['b.yaml', 'a.yml', 'note.txt', '.hidden.yaml']) writeFileSync(join(folder, name), name)
    expect(readRuleFiles(folder)).to.deep.equal({
      documents: [
        { name: 'a.yml', text: 'a.yml' },
        { name: 'b.yaml', text: 'b.yaml' },
      ],
      problems: [],
    })
  })

  it('are still named when they cannot be read, so that their last good rules stay', () => {
    mkdirSync(join(folder, 'a.yaml'))
    const { documents } = readRuleFiles(folder)
    expect(documents).to.deep.equal([
      { name: 'a.yaml', text: undefined, problem: 'cannot be read: it is a directory (EISDIR)' },
    ])
  })

  it('are no pipes, which nobody may ever write into', () => {
    expect(spawnSync('mkfifo', [join(folder, 'a.yaml')]).status).to.equal(0)
    writeFileSync(join(folder, 'b.yaml'), 'b')
    expect(readRuleFiles(folder).documents).to.deep.equal([
      { name: 'a.yaml', text: undefined, problem: 'a pipe, a socket or a device; it is not read' },
      { name: 'b.yaml', text: 'b' },
    ])
  })

  it('are gone when they went away while the folder was read', () => {
    symlinkSync(join(folder, 'nowhere'), join(folder, 'a.yaml'))
    expect(readRuleFiles(folder)).to.deep.equal({ documents: [], problems: [] })
  })

  it('are none without the folder, and unknown when the folder cannot be read', () => {
    expect(readRuleFiles(join(folder, 'none'))).to.deep.equal({ documents: [], problems: [] })
    writeFileSync(join(folder, 'file'), '')
    const { documents, problems } = readRuleFiles(join(folder, 'file'))
    expect(documents).to.deep.equal([])
    expect(problems.map((problem) => problem.message)).to.deep.equal([
      'cannot be read: a part of the path is no directory (ENOTDIR); its files are not used',
    ])
  })
})
