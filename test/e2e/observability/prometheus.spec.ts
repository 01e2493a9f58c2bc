import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { alerts } from '../../../scripts/observability/alerts.ts'
import { dashboards } from '../../../scripts/observability/dashboards.ts'
import { call, sharedPort, until } from '../../support/mesh/mesh.ts'
import { tracedPair } from '../../support/mesh/traced-pair.ts'
import type { TracedPair } from '../../support/mesh/traced-pair.ts'
import { RealPrometheus } from '../../support/observability/prometheus.ts'
import type { Sample } from '../../support/observability/prometheus.ts'

const run = promisify(execFile)
const rulesFolder = 'observability/prometheus'

describe('rules and dashboards in a real Prometheus', function () {
  this.timeout(90_000)
  let prometheus: RealPrometheus | undefined
  let pair: TracedPair | undefined

  before(async function () {
    const why = await RealPrometheus.missing()
    if (why !== undefined) {
      console.log(why)
      this.skip()
    }
    pair = await tracedPair({})
    const targets = [pair.alpha, pair.beta].map(({ options }) => `${options.address}:15020`)
    prometheus = await RealPrometheus.start(targets, [join(process.cwd(), rulesFolder, 'hostmesh.rules.yaml')])
  })

  after(async () => {
    await prometheus?.close()
    await pair?.close()
  })

  const query = (expr: string): Promise<Sample[]> => prometheus!.query(expr)

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
    const firing = await query('ALERTS{alertstate="firing"}')
    expect(firing.map(({ metric }) => metric['alertname'])).to.deep.equal([])
    expect(alerts.length).to.be.above(10)
  })
})
