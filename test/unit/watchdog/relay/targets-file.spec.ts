import { expect } from 'chai'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TargetsFile } from '../../../../watchdog/relay/targets-file.ts'

const body = { writtenAt: 1, host: 'a', centers: [], listeners: {}, services: {}, names: {}, fallbackNetworks: [] }

function text(of: unknown, format = 1): string {
  const checksum = createHash('sha256').update(JSON.stringify(of)).digest('hex')
  return JSON.stringify({ format, checksum, body: of })
}

describe('the file of relay targets', () => {
  let folder: string
  let path: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-targets-'))
    path = join(folder, 'relay-targets.json')
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is read when it is there, and again only when it has changed', () => {
    const file = new TargetsFile(path)
    expect(file.refresh()).to.equal(false)
    expect(file.problem).to.include('not there (yet)')
    writeFileSync(path, text(body))
    expect(file.refresh()).to.equal(true)
    expect(file.targets).to.deep.equal(body)
    expect(file.problem).to.equal(undefined)
    expect(file.refresh()).to.equal(false)
  })

  const damages: [string, string, string][] = [
    ['is cut off', text(body).slice(0, 40), 'JSON'],
    ['has another checksum', text(body).replace('"host":"a"', '"host":"b"'), 'checksum'],
    ['has an unknown format', text(body, 9), 'format 9'],
    ['lacks a field', text({ ...body, centers: undefined }), 'missing'],
    ['holds null', text(null), ''],
  ]
  for (const [title, damaged, problem] of damages) {
    it(`keeps its last good content when the new one ${title}`, () => {
      const file = new TargetsFile(path)
      writeFileSync(path, text(body))
      file.refresh()
      writeFileSync(path, damaged)
      expect(file.refresh()).to.equal(false)
      expect(file.targets).to.deep.equal(body)
      expect(file.problem).to.be.a('string').and.include(problem)
    })
  }
})
