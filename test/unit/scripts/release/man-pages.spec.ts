import { expect } from 'chai'
import type { CommandView } from '../../../../cli/command-tree.ts'
import { manPages } from '../../../../scripts/release/man-pages.ts'

const command = (name: string, more: Partial<CommandView> = {}): CommandView => ({
  name,
  description: `what ${name} does`,
  options: [],
  arguments: [],
  commands: [],
  examples: [],
  ...more,
})

const program = command('mesh', {
  options: [
    { long: '--json', description: 'one value', choices: [] },
    { long: '--version', description: 'the version', choices: [] },
  ],
  commands: [
    command('rules', { commands: [command('push', { examples: [".hidden \\ 'quoted' -c x"] })] }),
    command('stop', {
      options: [
        {
          short: '-d',
          long: '--deadline',
          value: '<duration>',
          description: 'longest time',
          choices: ['1s', '2s'],
          fallback: '2s',
          variable: 'MESH_DEADLINE',
        },
      ],
    }),
  ],
})

describe('manual pages', () => {
  const pages = manPages(program, '1.2.3', '2026-01-02')

  it('are one for the program and one for each command', () => {
    expect([...pages.keys()]).to.deep.equal(['mesh.1', 'mesh-rules.1', 'mesh-rules-push.1', 'mesh-stop.1'])
  })

  it('tell options with value, choices, default and variable, and those of the program everywhere', () => {
    const page = pages.get('mesh-stop.1')!
    expect(page).to.include('.B \\-d, \\-\\-deadline <duration>\nlongest time (one of: 1s, 2s) (default: 2s)')
    expect(page).to.include('.B MESH_DEADLINE')
    expect(page).to.include('.B \\-\\-json')
    expect(page).to.not.include('version\n')
  })

  it('never hand a line to roff as one of its own requests', () => {
    expect(pages.get('mesh-rules-push.1')).to.include("\\&.hidden \\e 'quoted' \\-c x")
  })
})
