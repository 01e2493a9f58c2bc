import { expect } from 'chai'
import { globSync, readFileSync } from 'node:fs'

describe('lines of the log that anybody may cause again and again', () => {
  it('have their pause from one place', () => {
    const files = globSync(['agent/**/*.ts', 'guard/**/*.ts', 'watchdog/**/*.ts', 'global-mesh-center/**/*.ts'])
    expect(files.length).to.be.above(500)
    const own = files.filter((file) => /\b(?:\w*[lL]oggedAt|logPauseMs)\b/.test(readFileSync(file, 'utf8')))
    expect(own).to.deep.equal([])
    const users = files.filter((file) => readFileSync(file, 'utf8').includes('new LogPause('))
    expect(users.length).to.be.above(10)
  })
})
