import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { ruleStore } from '../../support/routing.ts'
import { expectation, outcomeOf, trafficExamples } from '../../support/traffic-examples.ts'

const document = readFileSync(new URL('../../../docs/traffic.md', import.meta.url), 'utf8')
const examples = trafficExamples(document)

describe('the examples of docs/traffic.md', () => {
  it('are all found: every yaml block has its outcomes below', () => {
    expect(examples.length).to.equal(document.split('\n```yaml\n').length - 1)
    expect(examples.length).to.be.at.least(25)
  })

  for (const { title, yaml, lines } of examples) {
    const rejected = lines.filter((line) => line.startsWith('rejected '))
    if (rejected.length > 0) {
      it(`${title}: is rejected for these reasons`, () => {
        const { statuses } = ruleStore().replaceSource('rules.d', [{ name: 'doc.yaml', text: yaml }])
        const found = statuses.flatMap(({ problems }) =>
          problems.map(({ line, column, path, message }) => `rejected ${line}:${column} ${path}: ${message}`),
        )
        expect(found).to.deep.equal(lines)
      })
      continue
    }
    for (const line of lines) {
      it(`${title}: ${line}`, () => {
        const store = ruleStore()
        const { statuses } = store.replaceSource('rules.d', [{ name: 'doc.yaml', text: yaml }])
        expect(
          statuses.flatMap((status) => [status.state, ...status.problems.map((one) => one.message)]),
        ).to.deep.equal(statuses.map(() => 'applied'))
        const { left, facts } = expectation(line)
        const outcome = outcomeOf(left, store)
        const isCounted = facts.length === 1 && facts[0]!.includes(' pass, then ')
        if (!isCounted) expect(facts).to.include.members([...outcome.destinations])
        const known = [...outcome.destinations, ...outcome.facts]
        for (const fact of facts) expect(known, known.join('\n')).to.include(fact)
      })
    }
  }

  it('name every section that the list at the top links to', () => {
    const headings = document
      .split('\n')
      .filter((line) => line.startsWith('## '))
      .map((line) =>
        line
          .slice(3)
          .toLowerCase()
          .replace(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
      )
    const links = [...document.matchAll(/\]\(#([a-z0-9-]+)\)/g)].map(([, link]) => link)
    expect(headings).to.include.members(links)
  })
})
