import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CommandView, commandTree } from '../../../../cli/command-tree.ts'
import { completionScript } from '../../../../cli/commands/completion.ts'
import { rowsOf } from '../../../../cli/completion/words.ts'
import { program } from '../../../../cli/main.ts'

const tree = commandTree(program)
const find = (...path: string[]): CommandView =>
  path.reduce((command, name) => command.commands.find((child) => child.name === name)!, tree)

describe('the tree of commands', () => {
  it('has what the help shows: choices, defaults, variables, examples', () => {
    const reload = find('reload')
    const wait = reload.options.find(({ long }) => long === '--wait')
    expect(wait).to.deep.include({ value: '<event>', choices: ['serving', 'gone'], fallback: 'gone' })
    expect(reload.options.find(({ long }) => long === '--config')).to.deep.include({
      short: '-c',
      variable: 'HOSTMESH_CONFIG',
    })
    expect(find('drill').arguments[0]!.choices).to.include('kill-agent')
    expect(find('check').examples).to.include('hostmesh check --online')
    expect(find('rules', 'push').arguments[0]).to.include({ name: 'path', isRepeated: true, isRequired: true })
  })

  it('leaves the help of a command as it was', () => {
    const before = find('status').examples
    expect(before).to.not.deep.equal([])
    expect(commandTree(program).commands.find(({ name }) => name === 'status')!.examples).to.deep.equal(before)
  })
})

describe('completion', () => {
  let folder: string

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-completion-'))
    writeFileSync(join(folder, 'hostmesh'), completionScript('bash', program))
    writeFileSync(join(folder, 'orders.yaml'), '')
  })

  after(() => rmSync(folder, { recursive: true, force: true }))

  /** What bash would offer for the last word. */
  function offered(...words: string[]): string[] {
    const script = `. ./hostmesh; COMP_WORDS=(hostmesh "$@"); COMP_CWORD=$#; _hostmesh; printf '%s\\n' "\${COMPREPLY[@]}"`
    const done = spawnSync('bash', ['-c', script, 'bash', ...words], { cwd: folder, encoding: 'utf8' })
    expect(done.stderr).to.equal('')
    return done.stdout.split('\n').filter((word) => word !== '')
  }

  it('of bash offers commands, nested ones, options, known values and files, each where it may stand', () => {
    expect(offered('sta')).to.deep.equal(['status'])
    expect(offered('rules', 'p')).to.have.members(['push', 'pull'])
    expect(offered('status', '--a')).to.deep.equal(['--admin'])
    expect(offered('reload', '--wait', '')).to.have.members(['serving', 'gone'])
    expect(offered('drill', 'kill-ag')).to.deep.equal(['kill-agent'])
    expect(offered('check', '-c', 'ord')).to.deep.equal(['orders.yaml'])
    expect(offered('rules', 'push', 'ord')).to.deep.equal(['orders.yaml'])
    expect(offered('status', '')).to.deep.equal([])
  })

  for (const shell of ['zsh', 'fish'] as const)
    it(`of ${shell} names every command and every option`, () => {
      const script = completionScript(shell, program)
      for (const row of rowsOf(tree)) {
        for (const child of row.commands) expect(script).to.include(child.name)
        for (const { long } of row.options) expect(script).to.include(shell === 'fish' ? `-l ${long.slice(2)}` : long)
      }
    })
})
