/** The examples of docs/filters.md are what the code takes, and do what the page says. */
import { readFileSync, mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { parse } from 'yaml'
import { agentKind } from '../../../agent/control/config/agent-kind.ts'
import { checkConfig, formatProblem } from '../../../agent/control/config/check.ts'
import { problemsOf } from '../../support/routing.ts'
import { FilteredWorker } from '../../support/user-filters.ts'

const page = readFileSync('docs/filters.md', 'utf8')
const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
  language,
  text: text!,
}))
const yamls = blocks.filter(({ language }) => language === 'yaml').map(({ text }) => text)
const machine = { hostName: 'host-1', defaultAddress: '10.0.0.5', processors: 2 }
const kernelPorts = { ephemeral: { first: 32_768, last: 60_999 }, reserved: [] }

const plain = (code: string): string => code.replaceAll(/^\/\*\*[\s\S]*?\*\/$|^\/\/.*$| \/\/ .*$/gm, '').trim()

/** On the page, where it is the same as in examples/. */
function moduleOf(name: string): string {
  const file = `examples/filters/${name}.mjs`
  const text = blocks.find((block) => block.language === 'js' && block.text.startsWith(`// ${file}\n`))?.text ?? ''
  expect(plain(text)).to.equal(plain(readFileSync(file, 'utf8')))
  return text
}

describe('the examples of docs/filters.md', () => {
  it('are a good configuration and a good policy', () => {
    const directory = mkdtempSync(join(tmpdir(), 'hostmesh-docs-'))
    try {
      mkdirSync(join(directory, 'filters'), { mode: 0o700 })
      writeFileSync(join(directory, 'filters/team.mjs'), 'export default () => ({})', { mode: 0o600 })
      writeFileSync(join(directory, 'staff.htpasswd'), '', { mode: 0o600 })
      const kinds = yamls.map((text) => (parse(text) as { kind?: string }).kind)
      expect(kinds).to.deep.equal([undefined, 'MeshPolicy', undefined])
      for (const text of yamls.filter((_, at) => kinds[at] === undefined)) {
        writeFileSync(join(directory, 'agent.yaml'), text)
        const { problems } = checkConfig(join(directory, 'agent.yaml'), agentKind, { machine, kernelPorts })
        expect(problems.map(formatProblem)).to.deep.equal([])
      }
      expect(problemsOf(yamls[1]!).every((problem) => problem.includes('not among the filters of this host'))).to.equal(
        true,
      )
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it('are the module that is in examples/, and do what they say', async () => {
    const text = moduleOf('team')
    const worker = await FilteredWorker.start([{ name: 'team', settings: { teams: ['blue'] }, text }])
    try {
      expect(await worker.call({ headers: { 'x-team': 'red' } })).to.include({ status: 403, body: 'no team red\n' })
      const { headers, status } = await worker.call({ headers: { 'x-team': 'blue' } })
      expect(status).to.equal(200)
      expect(headers['x-took']).to.match(/^\d+ ms$/)
      expect(worker.lastHead()).to.include('x-known-team: blue')
    } finally {
      await worker.stop()
    }
  })

  it('decide by the JSON of a request, and let nothing pass that they cannot read', async () => {
    const worker = await FilteredWorker.start([
      { name: 'amounts', settings: { most: 50 }, text: moduleOf('json-access') },
    ])
    try {
      const statusOf = async (body: string, role?: string): Promise<number> =>
        (await worker.call({ body, ...(role === undefined ? {} : { headers: { 'x-role': role } }) })).status
      expect(await statusOf('{"amount":50}')).to.equal(200)
      expect(await statusOf('{"amount":51}')).to.equal(403)
      expect(await statusOf('{"amount":51}', 'approver')).to.equal(200)
      for (const body of ['{"amount":"9"}', '{"amount":', 'null', '[]', ''])
        expect(await statusOf(body, 'approver'), body).to.equal(400)
    } finally {
      await worker.stop()
    }
  })
})
