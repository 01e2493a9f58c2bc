import { expect } from 'chai'
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
})
