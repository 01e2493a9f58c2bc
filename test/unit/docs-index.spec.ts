import { readFileSync, readdirSync } from 'node:fs'
import { expect } from 'chai'
import { drillNames } from '../../cli/drill/names.ts'
import { exitCodes } from '../../cli/exit-codes.ts'

describe('the documentation', () => {
  it('is reachable: every page is named in the README', () => {
    const readme = readFileSync('README.md', 'utf8')
    for (const page of readdirSync('docs').filter((name) => name.endsWith('.md'))) {
      expect(readme, page).to.include(`docs/${page}`)
    }
  })

  it('lists every decision, and every listed one is there', () => {
    const listed = [...readFileSync('docs/decisions/README.md', 'utf8').matchAll(/\((\d{4}-[^)]+\.md)\)/g)].map(
      (match) => match[1],
    )
    const files = readdirSync('docs/decisions').filter((name) => /^\d{4}-/.test(name))
    expect(listed).to.have.members(files)
  })

  it('names every drill and every exit code', () => {
    const operations = readFileSync('docs/operations.md', 'utf8')
    for (const name of drillNames) expect(operations, name).to.include(`\`${name}\``)
    const cli = readFileSync('docs/cli.md', 'utf8')
    for (const code of Object.values(exitCodes)) expect(cli).to.match(new RegExp(`\\| ${code} `))
  })
})
