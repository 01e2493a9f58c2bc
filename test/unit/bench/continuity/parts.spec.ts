import { expect } from 'chai'
import { runParts } from '../../../../bench/continuity/parts.ts'

describe('the parts of a benchmark', () => {
  it('a part that fails is named, and the others keep their figures and problems', async () => {
    const lines: string[] = []
    const outcome = await runParts(
      [
        { name: 'first', run: async () => ({ ms: 5 }) },
        { name: 'second', run: async () => Promise.reject(new Error('closed')) },
        {
          name: 'third',
          run: async ({ must }) => {
            must(false, 'too slow, goal 3')
            must(true, 'never said')
            return [1]
          },
        },
      ],
      (line = '') => lines.push(line),
    )
    expect(outcome.parts).to.deep.equal({ first: { ms: 5 }, third: [1] })
    expect(outcome.problems).to.deep.equal(['too slow, goal 3'])
    expect(outcome.failed.map(({ error, part }) => `${part}: ${error.split('\n', 1)[0]}`)).to.deep.equal([
      'second: Error: closed',
    ])
    expect(lines.join('\n')).to.include('FAILED second: Error: closed')
  })
})
