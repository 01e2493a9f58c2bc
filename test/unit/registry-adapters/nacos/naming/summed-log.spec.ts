import { expect } from 'chai'
import { SummedLog } from '../../../../../registry-adapters/nacos/naming/summed-log.ts'
import { eventually, recordedDeps } from '../../../../support/registry-listener.ts'

describe('a log of what may happen to a thousand services at once', () => {
  it('says the first at once and sums the rest up in one line, each service counted once', async function () {
    this.timeout(20_000)
    const deps = recordedDeps()
    const log = new SummedLog(deps.log, 'main', deps.clock)
    for (let index = 0; index < 1000; index++) log.say('info', { service: `s${index}`, instances: 2 }, 'vanished')
    log.say('info', { service: 's1', instances: 1 }, 'vanished')
    log.say('warn', { service: 's1', instances: 1 }, 'gone')
    expect(deps.lines).to.deep.equal([
      'info vanished {"registry":"main","service":"s0","instances":2}',
      'warn gone {"registry":"main","service":"s1","instances":1}',
    ])
    await eventually(() => deps.lines.length === 3, 'the sum', 15_000)
    expect(deps.lines[2]).to.include('the same of further services').and.include('"services":999,"instances":1999')
    expect(deps.lines[2]!.length).to.be.lessThan(300)
    log.close()
  })
})
