import { expect } from 'chai'
import { jsonLog } from '../../../watchdog/log.ts'

describe('the log of the watchdog', () => {
  it('is one JSON object per line, with the time in UTC and the name of the process', () => {
    const written: string[] = []
    jsonLog(
      (line) => written.push(line),
      () => 1_795_000_000_123,
    )('warn', 'a neighbour covers it', { index: 1 })
    expect(written.join('').endsWith('\n')).to.equal(true)
    expect(written.map((line) => JSON.parse(line) as unknown)).to.deep.equal([
      {
        level: 'warn',
        time: new Date(1_795_000_000_123).toISOString(),
        process: 'watchdog',
        pid: process.pid,
        index: 1,
        msg: 'a neighbour covers it',
      },
    ])
  })
})
