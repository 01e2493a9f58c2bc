import { expect } from 'chai'
import { durationMs } from '../../../cli/options.ts'

describe('a duration of the command', () => {
  it('has one of four units', () => {
    expect(['500ms', '10s', '5m', '1h'].map(durationMs)).to.deep.equal([500, 10_000, 300_000, 3_600_000])
    for (const text of ['', '10', '1d', '-1s', '1h30m', '1.5h'])
      expect(() => durationMs(text), text).to.throw('500ms, 10s, 5m or 1h')
  })
})
