import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { alerts } from '../../../scripts/observability/alerts.ts'
import { dashboards } from '../../../scripts/observability/dashboards.ts'
import { freePort } from '../../support/free-port.ts'
import { call, sharedPort, until } from '../../support/mesh/mesh.ts'
import { tracedPair } from '../../support/mesh/traced-pair.ts'
import type { TracedPair } from '../../support/mesh/traced-pair.ts'

const run = promisify(execFile)
const rulesFolder = 'observability/prometheus'

async function missing(): Promise<string | undefined> {
  for (const tool of ['prometheus', 'promtool'])
    try {
      await run(tool, ['--version'])
    } catch {
      return `no real Prometheus: ${tool} is not installed (Debian package prometheus)`
    }
  return undefined
}

describe('rules and dashboards in a real Prometheus', function () {
  this.timeout(90_000)
  let folder: string
  let prometheus: ChildProcess | undefined
  let pair: TracedPair | undefined
  let base: string

  before(async function () {
    const why = await missing()
    if (why !== undefined) {
      console.log(why)
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-prometheus-'))
    pair = await tracedPair({})
    const port = await freePort()
    base = `http://127.0.0.1:${port}/api/v1`
    const config = {
      global: { scrape_interval: '500ms', evaluation_interval: '1s' },
      rule_files: [join(process.cwd(), rulesFolder, 'hostmesh.rules.yaml')],
      scrape_configs: [
        {
          job_name: 'hostmesh',
          static_configs: [{ targets: [`${pair.alpha.options.address}:15020`, `${pair.beta.options.address}:15020`] }],
        },
      ],
    }
    writeFileSync(join(folder, 'prometheus.yml'), stringify(config))
    prometheus = spawn(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=warn',
      ],
      { stdio: 'ignore' },
    )
  })

  after(async () => {
    if (prometheus !== undefined) {
      const exited = once(prometheus, 'exit')
      prometheus.kill('SIGKILL')
      await exited
    }
    await pair?.close()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  async function query(expr: string): Promise<unknown[]> {
    const reply = await fetch(`${base}/query?${new URLSearchParams({ query: expr }).toString()}`)
    const answer = (await reply.json()) as { status: string; error?: string; data?: { result: unknown[] } }
    if (answer.status !== 'success') throw new Error(`${expr}: ${answer.error}`)
    return answer.data!.result
  }

  it('promtool takes the rules, and each alert fires when it should and is quiet when it should', async () => {
    await run('promtool', ['check', 'rules', 'hostmesh.rules.yaml'], { cwd: rulesFolder })
    await run('promtool', ['test', 'rules', 'hostmesh.test.yaml'], { cwd: rulesFolder })
  })

  it('every panel is a query that Prometheus takes, and shows data of two real hosts', async () => {
    const ask = (): Promise<unknown> => pair!.ask({}, '/seen')
    await until(30_000, 'both hosts are scraped', async () => {
      await ask()
      return (await query('hostmesh_ready == 1')).length === 2
    })
    await until(30_000, 'a rate', async () => {
      await ask()
      await call(pair!.alpha.options.address, sharedPort, { 'x-mesh-service': 'nobody' })
      return (await query('rate(istio_requests_total{destination_service_name="orders"}[5m]) > 0')).length >= 2
    })
    const empty: string[] = []
    for (const { panels, uid } of dashboards)
      for (const { queries, title } of panels) {
        let found = 0
        for (const [expr] of queries) found += (await query(expr.replaceAll(/\$(?:instance|service)/g, '.*'))).length
        if (found === 0) empty.push(`${uid}: ${title}`)
      }
    // two healthy hosts without a center, a collector or a refusal
    expect(empty.filter((panel) => !mayBeEmpty.has(panel))).to.deep.equal([])
  })

  const mayBeEmpty = new Set([
    'hostmesh-host: Spans and log records',
    'hostmesh-tiers: Usable centers',
    'hostmesh-registry: Endpoints refused',
  ])

  it('none of our alerts fires on two healthy hosts', async () => {
    await until(20_000, 'rules were evaluated', async () => (await query('hostmesh:requests:rate5m')).length > 0)
    const firing = (await query('ALERTS{alertstate="firing"}')) as { metric: { alertname: string } }[]
    expect(firing.map(({ metric }) => metric.alertname)).to.deep.equal([])
    expect(alerts.length).to.be.above(10)
  })
})
