import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readOptions } from '../../../watchdog/options.ts'
import { testOptions } from '../../support/continuity/watchdog-options.ts'

const release = { name: 'v1', control: ['node', 'control.ts'], worker: ['node', 'worker.ts'], workers: 2 }

describe('options of the watchdog', () => {
  const whole = { runDir: '/r', stateDir: '/s', release, ...testOptions }

  it('are taken as they are given', () => {
    expect(readOptions(JSON.stringify(whole))).to.deep.equal(whole)
  })

  it('have no default: what is missing is named', () => {
    for (const section of ['deadlines', 'liveness', 'restarts', 'bounds'] as const)
      for (const name of Object.keys(testOptions[section])) {
        const lacking = { ...whole, [section]: { ...testOptions[section], [name]: undefined } }
        expect(() => readOptions(JSON.stringify(lacking))).to.throw(`${section}.${name}`)
      }
    const { bounds: _, ...without } = whole
    expect(() => readOptions(JSON.stringify(without))).to.throw('bounds.')
  })

  it('can stand in a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hm-options-'))
    writeFileSync(join(folder, 'o.json'), JSON.stringify(whole))
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
