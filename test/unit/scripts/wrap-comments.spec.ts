import { expect } from 'chai'
import { wrapComments } from '../../../scripts/wrap-comments.ts'

const long = `${'word '.repeat(30)}end`

describe('the wrapping of comments', () => {
  const longest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length))
  const words = (text: string): string[] => text.split(/[\s*/]+/).filter((word) => word !== '')

  it('makes a block of a docstring that is too long for its line, and loses no word', () => {
    const wrapped = wrapComments(`  /** ${long} */\n  method(): void`)
    expect(wrapped.split('\n')[0]).to.equal('  /**')
    expect(wrapped.split('\n').slice(-2)).to.deep.equal(['   */', '  method(): void'])
    expect(longest(wrapped)).to.be.within(100, 120)
    expect(words(wrapped)).to.deep.equal(words(`${long} method(): void`))
  })

  it('goes on in the next line of the paragraph, but not in a list, an example or code', () => {
    expect(wrapComments(` * ${long}\n * more`).split('\n')).to.have.length(2)
    expect(wrapComments(` * - ${long}\n *   more\n * - other`).split('\n')).to.deep.equal([
      ` * - ${'word '.repeat(23).trimEnd()}`,
      ' *   word word word word word word word end more',
      ' * - other',
    ])
    expect(wrapComments(`// ${long}\nconst a = 1`).split('\n')).to.have.length(3)
  })

  it('leaves alone what fits, what is no comment, and a word that no line holds', () => {
    for (const text of [`/** short */`, `const text = '${long}'`, ` * https://${'x'.repeat(130)}`])
      expect(wrapComments(text)).to.equal(text)
  })

  it('changes nothing the second time', () => {
    const once = wrapComments(` * ${long}\n * more\n *\n * - ${long}\n */`)
    expect(wrapComments(once)).to.equal(once)
  })
})
