import { execFile } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { dashboards } from '../../../scripts/observability/dashboards.ts'
import { dashboardReader, goTool } from '../../support/go-tool.ts'

const run = promisify(execFile)

describe("dashboards by Grafana's own definitions", function () {
  this.timeout(600_000)
  let program: string
  let folder: string

  before(async function () {
    const tool = await goTool(dashboardReader)
    if ('missing' in tool) {
      console.log(tool.missing)
      this.skip()
    }
    program = tool.program
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-grafana-'))
  })
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true })
  })

  it('are whole, with no word that Grafana does not know', async () => {
    const files = globSync('observability/grafana/*.json')
    expect(files).to.have.length(dashboards.length)
    const { stdout } = await run(program, files)
    expect(stdout).to.equal('')
  })

  it('would not pass with a field that is written wrong', async () => {
    const file = join(folder, 'wrong.json')
    const good = readFileSync('observability/grafana/hostmesh-host.json', 'utf8')
    writeFileSync(file, good.replace('"legendFormat"', '"legendformat"'))
    const answer = await run(program, [file]).catch((error: unknown) => error as { stdout: string })
    expect(answer.stdout).to.match(/panels\[0\]\.targets\[0\].*unexpected field/)
  })
})
