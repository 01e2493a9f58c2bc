import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { seededRandom } from '../../../../../support/seeded-random.ts'
import { compiled, ruleStore } from '../../../../../support/routing.ts'
import { trafficExamples } from '../../../../../support/traffic-examples.ts'

const examples = trafficExamples(readFileSync(new URL('../../../../../../docs/traffic.md', import.meta.url), 'utf8'))

/** Values that a careless or hostile writer puts in the place of others. */
const replacements = [
  '',
  '~',
  'null',
  '[]',
  '{}',
  '-1',
  '1e309',
  '.nan',
  'yes',
  '"\\0"',
  '"\\r\\nx: y"',
  '"*"',
  '"*.a"',
  '"."',
  '"a."',
  '"@@"',
  '"/"',
  '"a/b@@"',
  '"%DOWNSTREAM%"',
  '99999999999999999999',
  '"1h"',
  '"(((("',
  '[[[[]]]]',
  '{ a: { b: c } }',
  '"ü"',
  `"${'x'.repeat(600)}"`,
  `"*.${'a'.repeat(300)}"`,
  '!!binary aGk=',
  '!!set { a, b }',
  '&x [*x]',
  '2026-01-01',
  '0x10',
  '0o17',
  '"__proto__"',
  '"constructor"',
  '"toString"',
]

describe('hostile rules', () => {
  it('never throw: what is not applied has a problem with a place, and what is applied compiles', () => {
    const random = seededRandom(11)
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
    let [applied, rejected] = [0, 0]
    for (let round = 0; round < 500; round++) {
      const lines = pick(examples).yaml.split('\n')
      for (let i = 0; i < 1 + random() * 2; i++) mutate(lines, random, pick)
      const store = ruleStore()
      const { statuses } = store.replaceSource('rules.d', [{ name: 'x.yaml', text: lines.join('\n') }])
      for (const status of statuses) {
        if (status.state === 'rejected') {
          rejected++
          expect(status.problems, lines.join('\n')).not.to.be.empty
          for (const problem of status.problems) expect(problem.line, problem.message).to.be.within(1, lines.length + 1)
        } else applied++
      }
      for (const key of store.declaredKeys()) {
        compiled(store.virtualHost(key).spec)
        JSON.stringify(store.service(key))
        store.declaredService(key)
      }
      store.importState(JSON.parse(JSON.stringify(store.exportState())))
    }
    expect(applied).to.be.above(100)
    expect(rejected).to.be.above(100)
  })

  it('with names of built-in properties are just names', () => {
    const store = ruleStore()
    for (const name of ['constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
      store.replaceSource(name, [
        {
          name,
          text: `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: ${name} }\nspec: { host: ${name}, subsets: [{ name: ${name}, labels: { ${name}: "1" } }] }\n`,
        },
      ])
      const { subsets, portPolicies } = store.service(`public/DEFAULT_GROUP@@${name}`)
      expect(Object.keys(subsets)).to.deep.equal([name])
      expect(Object.keys(portPolicies)).to.deep.equal([])
    }
    expect(store.statuses().map((status) => status.state)).to.deep.equal(['applied', 'applied', 'applied', 'applied'])
  })
})

/** Another value, a line twice, a line less, another indentation, another key. */
function mutate(lines: string[], random: () => number, pick: <T>(items: readonly T[]) => T): void {
  const at = Math.floor(random() * lines.length)
  const line = lines[at]!
  const kind = random()
  if (kind < 0.6)
    lines[at] = line.replace(
      /(: )([^{}[\],]+)([,}\]]|$)/,
      (_, colon: string, __, end: string) => `${colon}${pick(replacements)}${end}`,
    )
  else if (kind < 0.7) lines.splice(at, 0, line)
  else if (kind < 0.8) lines.splice(at, 1)
  else if (kind < 0.9) lines[at] = `  ${line}`
  else lines[at] = line.replace(/[a-z]+(?=:)/, () => pick(['__proto__', 'constructor', 'x', 'host', 'hosts', 'name']))
}
