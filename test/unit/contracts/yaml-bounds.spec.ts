import { expect } from 'chai'
import { parseDocument } from 'yaml'
import { maxYamlAliases, yamlExcess, yamlFault } from '../../../contracts/yaml-bounds.ts'

const bounds = { documentNodes: 1000, nodes: 3000 }
const keys = (count: number): string => Array.from({ length: count }, (_, i) => `k${i}: 1\n`).join('')

describe('bounds of YAML before a parser sees it', () => {
  it('let ordinary documents pass, whatever they quote', () => {
    expect(yamlExcess(keys(400), bounds)).to.equal(undefined)
    expect(yamlExcess(`a: "${'x'.repeat(100_000)}"`, bounds)).to.equal(undefined)
    expect(yamlExcess(`${keys(300)}---\n${keys(300)}---\n${keys(300)}`, bounds)).to.equal(undefined)
  })

  it('count every way to make many nodes, and name the line', () => {
    const many: Readonly<Record<string, string>> = {
      keys: keys(2000),
      'flow list': `[${'a,'.repeat(2000)}]`,
      'flow map': `{${'a: 1, '.repeat(2000)}}`,
      'open brackets': '['.repeat(2000),
      'open braces': '{'.repeat(2000),
      'list items': '- a\n'.repeat(2000),
      'lists in lists': '- '.repeat(2000),
      'complex keys': '? '.repeat(2000),
      JSON: `{${'"a":1,'.repeat(1000)}"b":2}`,
      'empty texts': '"" '.repeat(2000),
      'escapes that are none': `"${'\\q'.repeat(3000)}"`,
      anchors: '&a '.repeat(2000),
      aliases: '*a '.repeat(2000),
      tags: '!a '.repeat(2000),
      comments: '# a\n'.repeat(2000),
      'hidden behind a quote in a block scalar': `a: |\n  "\n${keys(2000)}`,
      'hidden behind a comment': `# "\n${keys(2000)}`,
    }
    for (const [name, text] of Object.entries(many)) {
      expect(yamlExcess(text, bounds)?.message, name).to.equal('one document of more than 1000 nodes, allowed 1000')
    }
    expect(yamlExcess(keys(2000), bounds)!.line).to.be.within(400, 600)
  })

  it('count all documents of a text together', () => {
    expect(yamlExcess(`---\n${keys(400)}`.repeat(5), bounds)?.message).to.equal('more than 3000 nodes, allowed 3000')
  })
})

describe('faults of a parsed YAML document', () => {
  const faultOf = (text: string, depth = 10): string | undefined => {
    const document = parseDocument(text, { uniqueKeys: false, logLevel: 'silent' })
    return yamlFault(document.contents, depth)?.message
  }

  it('are keys that stand twice, at every level and in every spelling', () => {
    for (const text of [
      'a: 1\nb: 2\na: 3',
      'x: [{ y: { a: 1, "a": 2 } }]',
      '1: a\n"1": b',
      '? a\n: 1\n? a\n: 2',
      '{ a, a }',
    ]) {
      expect(faultOf(text), text).to.equal('map keys must be unique')
    }
    expect(faultOf('a: { a: 1 }\nb: { a: 1 }\nc: [{ a: 1 }, { a: 1 }]')).to.equal(undefined)
  })

  it('are levels below the bound, and more aliases than the bound', () => {
    expect(faultOf(`${'['.repeat(11)}${']'.repeat(11)}`)).to.equal(undefined)
    expect(faultOf(`${'['.repeat(12)}${']'.repeat(12)}`)).to.equal('nested deeper than 10 levels')
    expect(faultOf(`b: &b 1\n${Array.from({ length: maxYamlAliases }, (_, i) => `a${i}: *b`).join('\n')}`)).to.equal(
      undefined,
    )
    expect(
      faultOf(`b: &b 1\n${Array.from({ length: maxYamlAliases + 1 }, (_, i) => `a${i}: *b`).join('\n')}`),
    ).to.match(/aliases/)
  })

  it('are found in time that grows with the document, not with its square', () => {
    const timeOf = (count: number): number => {
      const document = parseDocument(keys(count), { uniqueKeys: false })
      const from = process.cpuUsage()
      expect(yamlFault(document.contents, 10)).to.equal(undefined)
      const { user, system } = process.cpuUsage(from)
      return (user + system) / 1000
    }
    timeOf(2000)
    expect(timeOf(40_000), 'ms for 40,000 keys').to.be.below(500)
  })
})
