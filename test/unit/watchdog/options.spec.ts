import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readOptions } from '../../../watchdog/options.ts'

const release = { name: 'v1', control: ['node', 'control.ts'], worker: ['node', 'worker.ts'], workers: 2 }

describe('options of the watchdog', () => {
  it('need folders and a release; everything else has a default', () => {
    const options = readOptions(JSON.stringify({ runDir: '/r', stateDir: '/s', release, deadlines: { drainMs: 7 } }))
    expect(options.deadlines).to.include({ drainMs: 7, startMs: 15_000 })
    expect(options.release).to.deep.equal(release)
  })

  it('can stand in a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hm-options-'))
    writeFileSync(join(folder, 'o.json'), JSON.stringify({ runDir: '/r', stateDir: '/s', release }))
    expect(readOptions(`@${join(folder, 'o.json')}`).runDir).to.equal('/r')
    rmSync(folder, { recursive: true })
  })

  it('are refused by name when they make no sense', () => {
    const wrong: [string | undefined, string][] = [
      [undefined, 'missing'],
      ['{', 'JSON'],
      ['@/nowhere', 'JSON'],
      [JSON.stringify({ runDir: '/r', release }), 'stateDir'],
      [JSON.stringify({ runDir: '/r', stateDir: '/s' }), 'release'],
      [JSON.stringify({ runDir: '/r', stateDir: '/s', release: { ...release, workers: 0 } }), 'release.workers: 0'],
      [JSON.stringify({ runDir: '/r', stateDir: '/s', release: { ...release, worker: 'rm -rf' } }), 'command lines'],
    ]
    for (const [argument, message] of wrong) expect(() => readOptions(argument), message).to.throw(message)
  })
})
