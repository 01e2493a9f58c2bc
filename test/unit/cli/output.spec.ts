import { expect } from 'chai'
import { stripVTControlCharacters } from 'node:util'
import { createOutput } from '../../../cli/output.ts'

function sink(isTTY: boolean) {
  const written: string[] = []
  return { written, stream: { isTTY, write: (text: string) => written.push(text) } }
}

describe('what the command prints', () => {
  it('separates columns by tabs in a pipe, without colours', () => {
    const out = sink(false)
    const output = createOutput(false, { out: out.stream, err: out.stream })
    output.table(['a', 'b'], [['1', output.style('red', '2')]])
    expect(out.written.join('')).to.equal('a\tb\n1\t2\n')
  })

  it('draws columns and colours on a terminal', () => {
    const out = sink(true)
    const output = createOutput(false, { out: out.stream, err: out.stream })
    output.table(['name', 'x'], [['long value', output.style('red', 'y')]])
    expect(out.written.join('')).to.match(/name\S* {8}.*\n.*long value {2}/s)
    expect(out.written.join('')).to.include('\u001b[31my')
  })

  it('has no colours with --json, even on a terminal', () => {
    const out = sink(true)
    const output = createOutput(true, { out: out.stream, err: out.stream })
    expect(output.style('red', 'y')).to.equal('y')
  })

  /** Colour, title of the window, C1's way to say ESC [, the direction of text, a line of its own. */
  const hostile = 'a\u001b]0;owned\u0007\u009b2Jb\u202ec\u2028d'

  it('lets no word of others control the terminal, in lines, tables and problems', () => {
    for (const isTTY of [true, false]) {
      const out = sink(isTTY)
      const err = sink(isTTY)
      const output = createOutput(false, { out: out.stream, err: err.stream })
      output.line(output.style('red', hostile))
      output.table(['path'], [[hostile]])
      output.problem(hostile)
      const seen = stripVTControlCharacters([...out.written, ...err.written].join(''))
      expect(seen.match(/a ]0;owned  2Jb c d/g)).to.have.length(3)
      // oxlint-disable-next-line no-control-regex
      expect(seen).to.not.match(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u202e]/)
      expect(out.written.join('').includes('\u001b[31m')).to.equal(isTTY)
    }
  })

  it('says in JSON what was there, as escapes', () => {
    const out = sink(true)
    const output = createOutput(true, { out: out.stream, err: out.stream })
    output.json({ path: hostile })
    output.line(JSON.stringify({ path: hostile }))
    const [whole, line] = out.written as [string, string]
    for (const text of [whole, line]) {
      expect((JSON.parse(text) as { path: string }).path).to.equal(hostile)
      expect(text).to.include(String.raw`\u009b2Jb\u202ec\u2028d`)
    }
  })
})
