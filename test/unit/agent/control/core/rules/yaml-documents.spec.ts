import { expect } from 'chai'
import {
  maxResourcesPerText,
  maxRuleTextBytes,
  readYamlResources,
} from '../../../../../../agent/control/core/rules/yaml-documents.ts'

describe('YAML documents', () => {
  it('are read one by one, empty ones and comments left out', () => {
    const { resources } = readYamlResources('# top\na: 1\n---\n---\n# only a comment\n---\nb: 2\n...\n')
    expect(resources.map(({ value, line }) => [value, line])).to.deep.equal([
      [{ a: 1 }, 2],
      [{ b: 2 }, 7],
    ])
  })

  it('know the position of every key and list item, or of the nearest ancestor', () => {
    const [resource] = readYamlResources('a:\n  b:\n    - c: 1\n      d: 2\n').resources
    expect(resource!.positionOf(['a', 'b', 0, 'd'])).to.deep.equal({ line: 4, column: 7 })
    expect(resource!.positionOf(['a', 'b', 0, 'missing', 'x'])).to.deep.equal({ line: 3, column: 7 })
    expect(resource!.positionOf([])).to.deep.equal({ line: 1, column: 1 })
  })

  it('that are broken do not take the others with them', () => {
    const { resources } = readYamlResources('a: 1\n---\nb: {\n---\nc: 3\n')
    expect(resources.map((one) => one.problems.length > 0)).to.deep.equal([false, true, false])
    expect(resources[1]!.problems[0]).to.include({ line: 4, path: '' })
    expect(resources[1]!.problems[0]!.message).to.match(/^broken YAML: /)
  })

  it('with a key twice are refused', () => {
    const [resource] = readYamlResources('a: 1\na: 2\n').resources
    expect(resource!.problems[0]!.message).to.equal('broken YAML: map keys must be unique')
    expect(resource!.problems[0]!.line).to.equal(2)
  })

  it('that unfold to more than they show are refused quickly', () => {
    let bomb = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
    for (let i = 1; i < 12; i++) bomb += `a${i}: &a${i} [${`*a${i - 1}, `.repeat(10)}]\n`
    const from = process.cpuUsage()
    const [resource] = readYamlResources(bomb).resources
    const { user, system } = process.cpuUsage(from)
    expect(resource!.problems).to.have.length(1)
    expect(resource!.problems[0]!.message).to.match(/^broken YAML: .*alias/i)
    expect((user + system) / 1000, 'ms of processor time').to.be.below(1000)
  })

  it('that nest deeper than any rule are refused', () => {
    const [resource] = readYamlResources(`a: ${'['.repeat(200)}${']'.repeat(200)}\n`).resources
    expect(resource!.problems[0]!.message).to.equal('nested deeper than 64 levels')
  })

  it('with __proto__ as a key are refused', () => {
    const [resource] = readYamlResources('spec: { __proto__: { polluted: true } }\n').resources
    expect(resource!.problems[0]!.message).to.equal('__proto__ is no field')
    expect(({} as { polluted?: boolean }).polluted).to.equal(undefined)
  })

  it('are bounded in bytes and in number', () => {
    const tooLong = readYamlResources(`a: ${'x'.repeat(maxRuleTextBytes)}`)
    expect(tooLong.problems[0]!.message).to.equal(`${maxRuleTextBytes + 3} bytes, allowed ${maxRuleTextBytes}`)
    const tooMany = readYamlResources('a: 1\n---\n'.repeat(maxResourcesPerText + 1))
    expect(tooMany.problems[0]!.message).to.equal('more than 1000 resources in one document, allowed 1000')
  })

  it('cost no more than their bounds say, whatever they hold', function () {
    this.timeout(60_000)
    const many = (count: number, line: (i: number) => string): string =>
      Array.from({ length: count }, (_, i) => line(i)).join('')
    const hostile: Readonly<Record<string, string>> = {
      '40,000 keys': many(40_000, (i) => `k${i}: 1\n`),
      'keys up to the bound': many(9_000, (i) => `k${i}: 1\n`),
      'keys of one flow map': `{${many(6_000, (i) => `k${i}: 1,`)}}`,
      'open lists': '['.repeat(19_000),
      'deep lists': `${'['.repeat(9_000)}${']'.repeat(9_000)}`,
      'deep maps': `${'{a: '.repeat(6_000)}${'}'.repeat(6_000)}`,
      'deep block lists': '- '.repeat(19_000),
      anchors: many(4_000, (i) => `b${i}: &x${i} 1\na${i}: *x${i}\n`),
      'errors without end': 'a: }\n'.repeat(9_000),
      'empty texts': '"" '.repeat(19_000),
    }
    for (const [name, text] of Object.entries(hostile)) {
      const from = process.cpuUsage()
      const { resources, problems } = readYamlResources(text)
      const { user, system } = process.cpuUsage(from)
      if (name !== 'keys up to the bound' && name !== 'keys of one flow map') {
        expect(problems.length + resources.flatMap((one) => one.problems).length, name).to.be.above(0)
      }
      expect((user + system) / 1000, `ms of processor time for ${name}`).to.be.below(3000)
    }
  })

  it('never throw, whatever the text', () => {
    for (const text of [
      '\0',
      '%YAML 9.9\n---\na',
      '- - -',
      '&a *a',
      '!!binary x',
      '? [a]: b',
      '"',
      '\t',
      '*x',
      '{[}]',
      '\u{feff}a: 1',
    ]) {
      expect(() => readYamlResources(text), JSON.stringify(text)).not.to.throw()
    }
  })
})
