import { stripVTControlCharacters } from 'node:util'
import { expect } from 'chai'
import { type Picture, drawPicture } from '../../../../cli/demo/view.ts'
import { createOutput } from '../../../../cli/output.ts'
import { Tally } from '../../../../cli/traffic/tally.ts'

const sink = { write: (): void => {}, isTTY: true }
const coloured = createOutput(false, { out: sink, err: sink })
const plain = createOutput(false, { out: sink, err: sink }, { NO_COLOR: '1' })

function picture(events: number): Picture {
  const tally = new Tally(() => 1000)
  for (const tier of ['agent', 'center', 'direct'])
    tally.add({ isGood: true, tier, version: 'v1', latencyMs: 1234.5, reason: '' })
  tally.add({ isGood: false, tier: '', version: '', latencyMs: 1, reason: '503 E_BALANCE_NO_ENDPOINT and more words' })
  const how = 'port 20971, one TCP connection'
  return {
    title: 'a title that is a good deal longer than eighty columns, as titles are when nobody looks at them',
    hosts: ['alpha', 'beta', 'center'].map((name) => ({
      name,
      address: '127.193.111.253',
      text: 'generation 2 serving, generation 1 draining, generation 0 draining',
      isGood: name !== 'center',
    })),
    callers: [1, 2, 3, 4, 5].map(() => ({ from: 'web@alpha', to: 'inventory', how, tally })),
    commands: ['top', 'tap'].map((name) => `bin/hostmesh ${name} -c /tmp/hostmesh-demo-1a2b3c/alpha/agent.yaml`),
    events: Array.from({ length: events }, (_, index) => `23:11:08  event ${index} ${'long '.repeat(20)}`),
    keys: Array.from({ length: 9 }, (_, index) => [String(index), 'center on/off'] as const),
  }
}

describe('the live picture of the demo', () => {
  for (const screen of [{ columns: 80, rows: 24 }, { columns: 120, rows: 40 }, {}]) {
    it(`fits ${screen.columns ?? 'an unknown number of'} columns, however much happened`, () => {
      const { columns = 80, rows = 24 } = screen
      for (const events of [0, 1, 8, 50]) {
        const lines = drawPicture(coloured, picture(events), 1000, screen).map(stripVTControlCharacters)
        expect(lines.length).to.be.at.most(rows)
        for (const line of lines) expect(line.length, line).to.be.at.most(columns)
        expect(lines.at(-1)).to.include('8 center on/off')
        if (events > 0) expect(lines.join('\n')).to.include(`event ${events - 1} `)
      }
    })
  }

  it('says the tiers that answered, and why calls failed', () => {
    const text = stripVTControlCharacters(
      drawPicture(coloured, picture(0), 1000, { columns: 160, rows: 24 }).join('\n'),
    )
    expect(text).to.include('agent 33% center 33% direct 33%')
    expect(text).to.include('503 E_BALANCE_NO_ENDPOINT')
    expect(text).to.include('port 20971')
    expect(text).to.include('second terminal: bin/hostmesh tap -c /tmp/hostmesh-demo-1a2b3c/alpha/agent.yaml')
  })

  it('has no colours with NO_COLOR', () => {
    const text = drawPicture(plain, picture(3), 1000, {}).join('\n')
    expect(stripVTControlCharacters(text)).to.equal(text)
  })
})
