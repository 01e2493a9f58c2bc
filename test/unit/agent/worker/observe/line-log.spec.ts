import { expect } from 'chai'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lineLog } from '../../../../../agent/worker/observe/line-log.ts'

describe('the log of a worker', () => {
  let folder: string
  let file: number
  const lines = () => readFileSync(join(folder, 'log'), 'utf8').split('\n').slice(0, -1)

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-line-log-'))
    file = openSync(join(folder, 'log'), 'a')
  })

  afterEach(() => {
    closeSync(file)
    rmSync(folder, { recursive: true })
  })

  it('is one JSON object per line, with the time in UTC and the name of the process', () => {
    lineLog(file, { generation: 7, index: 1 }).write('error', 'a port is taken', { port: 80 })
    const said = JSON.parse(lines()[0]!) as Record<string, unknown>
    expect(said['time']).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(said).to.deep.equal({
      level: 'error',
      time: said['time'],
      process: 'worker',
      pid: process.pid,
      generation: 7,
      index: 1,
      port: 80,
      msg: 'a port is taken',
    })
  })

  it('leaves out what is below its level, and keeps the level when a name is no level', () => {
    const log = lineLog(file, {})
    log.write('debug', 'one')
    expect(log.setLevel('debug')).to.equal(true)
    expect(log.setLevel('loud')).to.equal(false)
    log.write('debug', 'two')
    log.write('trace', 'three')
    expect(lines().map((line) => (JSON.parse(line) as { msg: string }).msg)).to.deep.equal(['two'])
  })
})
