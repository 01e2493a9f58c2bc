/**
 * Every `hostmesh …` line in a code block of the documentation is one that the command takes, by its own definitions.
 */
import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { entryPoint } from '../../../cli/entry-point.ts'
import { commandsIn, wordsOf } from '../../support/docs/commands.ts'

const run = promisify(execFile)
const atOnce = 4

describe('commands in the documentation', function () {
  this.timeout(120_000)

  it('are all taken by the command', async () => {
    const files = ['README.md', 'README.zh.md', ...globSync('docs/**/*.md')]
    const found = new Map<string, string>()
    for (const file of files)
      for (const line of commandsIn(file)) found.set(wordsOf(line).slice(1).join('\u0000'), file)
    expect(found.size).to.be.above(15)
    const problems: string[] = []
    const queue = [...found]
    const work = async (): Promise<void> => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        const words = next[0].split('\u0000').map((word) => (word === 'NAME' ? 'kill-agent' : word))
        try {
          const { stdout } = await run(process.execPath, [
            '--import',
            './test/support/docs/parse-only.mjs',
            entryPoint('cli/main'),
            ...words,
          ])
          if (!stdout.includes('parsed ') && !words.includes('--version'))
            problems.push(`${next[1]}: ${words.join(' ')}: ${stdout}`)
        } catch (error) {
          problems.push(
            `${next[1]}: hostmesh ${words.join(' ')}: ${(error as { stderr: string }).stderr.split('\n')[0]}`,
          )
        }
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    expect(problems, problems.join('\n')).to.deep.equal([])
  })
})
