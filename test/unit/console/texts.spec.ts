import { expect } from 'chai'
import { parse } from 'yaml'
import { lineDiff } from '../../../console/line-diff.ts'
import { withRevision } from '../../../console/rule-objects.ts'
import { yamlText } from '../../../console/yaml-text.ts'
import { speak, t, type Word } from '../../../console/words.ts'
import * as words from '../../../console/words.ts'

describe('texts of the console', () => {
  it('a rule as YAML reads as the same rule, also where texts look like something else', () => {
    const rules = [
      { apiVersion: 'a/v1', metadata: { name: 'x', labels: { on: 'yes', '1': 'null' } }, spec: {} },
      { spec: { hosts: ['*', '10.0.0.1', 'true', '', '- x', 'a: b', '#', "it's", '<img src=x>'], n: 1.5, none: null } },
      { spec: { http: [{ match: [{ uri: { prefix: '/' } }], route: [] }, {}, [[1], ['a']]], ok: false } },
      { spec: { text: 'two\nlines\u2028\u0000"quoted"\t', 'odd key: #': 1 } },
    ]
    for (const rule of rules) expect(parse(yamlText(rule)), yamlText(rule)).to.deep.equal(rule)
  })

  it('a rule is written at the revision at which it was opened, however its metadata stand there, or not at all', () => {
    const rule = { kind: 'VirtualService', metadata: { name: 'orders', resourceVersion: '7' }, spec: {} }
    const texts = [
      'kind: VirtualService\nmetadata:\n  name: orders\nspec: {}\n',
      'kind: VirtualService\nmetadata: # of the shop\n    name: orders\nspec: {}\n',
      'kind: VirtualService\r\nmetadata:\r\n  name: orders\r\nspec: {}\r\n',
    ]
    for (const text of texts) expect(parse(withRevision(text, '7')!), text).to.deep.equal(rule)
    for (const text of ['metadata: { name: orders }\n', '{"metadata":{"name":"orders"}}', 'metadata: &a\n  name: x\n'])
      expect(withRevision(text, '7'), text).to.equal(undefined)
  })

  it('a difference holds what stays once, and both texts can be read from it', () => {
    const [before, after] = ['a\nb\nc\nd', 'a\nx\nc\nd\ne']
    const lines = lineDiff(before, after)
    const side = (mark: string): string =>
      lines.flatMap((line) => (line.mark === ' ' || line.mark === mark ? [line.text] : [])).join('\n')
    expect(side('-')).to.equal(before)
    expect(side('+')).to.equal(after)
    expect(lines.map(({ mark }) => mark).join('')).to.equal(' -+  +')
  })

  it('of very long texts is told as a whole, at once', () => {
    const long = Array.from({ length: 50_000 }, (_none, at) => String(at)).join('\n')
    expect(lineDiff(long, `${long}\n`)).to.have.length(100_001)
  })

  it('says every word in both languages', () => {
    try {
      for (const word of ['overview', 'signIn', 'tokenOld', 'graphHelp'] as Word[]) {
        speak('en')
        const english = t(word)
        speak('zh')
        expect(t(word), word)
          .to.match(/[\u4e00-\u9fff]/)
          .and.not.equal(english)
      }
      expect(words.isWord('toString')).to.equal(false)
    } finally {
      speak('en')
    }
  })
})
