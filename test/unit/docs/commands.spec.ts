/**
 * Every `hostmesh …` of the documentation, in code blocks and in sentences (`hostmesh help status`), is one that the
 * command takes, by its own definitions.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { entryPoint } from '../../../cli/entry-point.ts'
import { commandsIn, isOurs, namedCommands, pages, wordsOf } from '../../support/docs/commands.ts'

const run = promisify(execFile)
const atOnce = 4

/** What stands for something. */
const examples: Readonly<Record<string, string>> = {
  NAME: 'kill-agent',
  COMMAND: 'status',
  URL: 'orders/v1/items',
  FILE: 'orders.yaml',
  PORT: '15001',
  ID: '17',
  IP: '10.0.0.7',
}
/** Sentences speak of them as a whole. */
const groups = new Set(['ca', 'connections', 'drill', 'rules', 'streams'].map((group) => `hostmesh ${group}`))

describe('commands in the documentation', function () {
  this.timeout(120_000)

  it('are all taken by the command', async () => {
    const found = new Map<string, string>()
    const add = (line: string, file: string): void =>
      void found.set(
        wordsOf(line)
          .slice(1)
          .map((word) => examples[word] ?? word)
          .join('\u0000'),
        file,
      )
    for (const file of pages) for (const line of commandsIn(file)) add(line, file)
    // a sentence may name a command without its words
    const named = namedCommands()
    for (const [line, file] of named) if (isOurs(line) && !groups.has(line)) add(line, file)
    expect(found.size).to.be.above(70)
    const problems: string[] = []
    const queue = [...found]
    const work = async (): Promise<void> => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        const words = next[0].split('\u0000')
        try {
          const { stdout } = await run(process.execPath, [
            '--import',
            './test/support/docs/parse-only.mjs',
            entryPoint('cli/main'),
            ...words,
          ])
          if (!stdout.includes('parsed ') && !words.includes('--version') && words[0] !== 'help')
            problems.push(`${next[1]}: ${words.join(' ')}: ${stdout}`)
        } catch (error) {
          const [why = ''] = (error as { stderr: string }).stderr.split('\n')
          if (named.has(`hostmesh ${words.join(' ')}`) && /missing required argument|required option/.test(why))
            continue
          problems.push(`${next[1]}: hostmesh ${words.join(' ')}: ${why}`)
        }
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    expect(problems, problems.join('\n')).to.deep.equal([])
  })
})
