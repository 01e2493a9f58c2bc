import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const roles = join(import.meta.dirname, '../../../ansible/roles')
const read = (path: string): unknown => parse(readFileSync(join(roles, path), 'utf8'))

interface Option {
  readonly default?: unknown
  readonly description: string
}

function optionsOf(role: string): Record<string, Option> {
  const { argument_specs: specs } = read(`${role}/meta/argument_specs.yml`) as {
    argument_specs: { main: { options: Record<string, Option> } }
  }
  return specs.main.options
}

describe('the roles of the ansible collection', () => {
  for (const role of ['agent', 'center', 'node']) {
    it(`${role}: every variable has a default, and its argument specification says the same one`, () => {
      const defaults = read(`${role}/defaults/main.yml`) as Record<string, unknown>
      const options = optionsOf(role)
      expect(Object.keys(options)).to.have.members(Object.keys(defaults))
      for (const [name, option] of Object.entries(options)) expect(option.default, name).to.deep.equal(defaults[name])
    })
  }

  for (const role of ['agent', 'center']) {
    it(`${role}: every variable is used, and named in the documentation`, () => {
      const task = readFileSync(join(roles, role, 'tasks/main.yml'), 'utf8')
      const page = readFileSync(join(roles, '../../docs/ansible.md'), 'utf8')
      for (const name of Object.keys(optionsOf(role))) {
        expect(task, name).to.include(`{{ ${name} }}`)
        expect(page, name).to.include(`\`${name}\``)
      }
    })
  }

  it('hand over only what the role behind them knows', () => {
    const known = Object.keys(optionsOf('node'))
    for (const role of ['agent', 'center']) {
      const [task] = read(`${role}/tasks/main.yml`) as { vars: Record<string, unknown> }[]
      expect(known).to.include.members(Object.keys(task!.vars))
    }
  })

  it('show no secret: the task that writes them keeps quiet', () => {
    const tasks = read('node/tasks/change.yml') as { name: string; no_log?: boolean }[]
    expect(tasks.find(({ name }) => name === 'Write secrets')).to.include({ no_log: true })
  })
})
