import { expect } from 'chai'
import { jsonLog } from '../../../../agent/control/json-log.ts'

describe('the log of control', () => {
  it('is one JSON object per line, with the time in UTC and the name of the process, from its level on', () => {
    const written: string[] = []
    const log = jsonLog('info', { generation: 7 }, { write: (line) => void written.push(line) })
    log.debug({}, 'unsaid')
    log.warn({ service: 'orders' }, 'its last good endpoints stay')
    const [line] = written
    expect(written).to.have.length(1)
    expect(line!.endsWith('\n')).to.equal(true)
    const said = JSON.parse(line!) as Record<string, unknown>
    expect(said['time']).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(said).to.deep.equal({
      level: 'warn',
      time: said['time'],
      process: 'control',
      pid: process.pid,
      generation: 7,
      service: 'orders',
      msg: 'its last good endpoints stay',
    })
  })
})
