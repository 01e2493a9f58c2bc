import { readFileSync, readdirSync } from 'node:fs'
import { expect } from 'chai'
import type { Command } from 'commander'
import { drills } from '../../cli/drill/drills.ts'
import { linkNames } from '../../cli/doctor/finding.ts'
import { contents } from '../../cli/support/contents.ts'
import { exitCodeMeanings } from '../../cli/exit-codes.ts'
import { program } from '../../cli/main.ts'
import { scenarios } from '../../bench/scenarios/index.ts'

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

  it('says what doctor looks at, and what is in a support bundle', () => {
    const doctor = readFileSync('docs/doctor.md', 'utf8')
    for (const name of linkNames) expect(doctor, name).to.match(new RegExp(`^\\| \`${name}\` +\\|`, 'm'))
    for (const { name } of contents) expect(doctor, name).to.match(new RegExp(`^\\| \`${name}\` +\\|`, 'm'))
  })

  it('names every drill and every exit code', () => {
    const page = readFileSync('docs/drills.md', 'utf8')
    for (const { isSafe, name } of drills)
      expect(page, name).to.match(new RegExp(`^\\| \`${name}\` +\\| ${isSafe ? 'yes' : ' '}`, 'm'))
    const cli = readFileSync('docs/cli.md', 'utf8')
    const told = [...cli.matchAll(/^\| (\d) +\| (.+?) +\|$/gm)].map(([, code, meaning]) => [code, meaning])
    expect(told).to.deep.equal(Object.entries(exitCodeMeanings))
  })

  it('has a row for every scenario of the benchmark', () => {
    const page = readFileSync('docs/benchmarks.md', 'utf8')
    for (const { name } of scenarios) expect(page, name).to.match(new RegExp(`^\\| \`${name}\` +\\|`, 'm'))
  })

  it('has a row for every command', () => {
    const first = [...readFileSync('docs/cli.md', 'utf8').matchAll(/^\| (`[a-z].*?`) +\|/gm)].map(([, cell]) => cell!)
    const named = first.flatMap((cell) => {
      const [name, ...others] = cell.replaceAll('`', '').split(', ')
      const group = name!.split(' ').slice(0, -1)
      return [name, ...others.map((one) => [...group, one].join(' '))]
    })
    expect(named).to.have.members(commandsOf(program))
  })
})

/** Those that do something themselves, by all their words. */
function commandsOf({ commands }: Command, above: readonly string[] = []): string[] {
  return commands.flatMap((command) => {
    const words = [...above, command.name()]
    const isOne = command.commands.length === 0 || command.registeredArguments.length > 0
    return [...(isOne ? [words.join(' ')] : []), ...commandsOf(command, words)]
  })
}
