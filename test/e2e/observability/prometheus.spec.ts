import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { alerts } from '../../../scripts/observability/alerts.ts'
import { call, sharedPort, until } from '../../support/mesh/mesh.ts'
import { tracedPair } from '../../support/mesh/traced-pair.ts'
import type { TracedPair } from '../../support/mesh/traced-pair.ts'
import { RealPrometheus } from '../../support/observability/prometheus.ts'
import { StandInCollector } from '../../support/otlp/collector.ts'
import type { Sample } from '../../support/observability/prometheus.ts'

const run = promisify(execFile)
const rulesFolder = 'observability/prometheus'

/** What is read of a file that Grafana is given. */
interface ShippedDashboard {
  readonly uid: string
  readonly templating: { readonly list: readonly { name: string; query: string | { readonly query: string } }[] }
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
}

const shippedDashboards = (): ShippedDashboard[] =>
  globSync('observability/grafana/*.json').map((file) => JSON.parse(readFileSync(file, 'utf8')) as ShippedDashboard)

describe('rules and dashboards in a real Prometheus', function () {
  this.timeout(240_000)
  let prometheus: RealPrometheus | undefined
  let pair: TracedPair | undefined
  let collector: StandInCollector | undefined

  before(async function () {
    const why = await RealPrometheus.missing()
    if (why !== undefined) {
      console.log(why)
      this.skip()
    }
    collector = await StandInCollector.start()
    pair = await tracedPair({ tracing: { sampledShare: 1, collector: { url: collector.url } } }, true)
    const targets = [pair.alpha, pair.beta, pair.center!].map(({ options }) => `${options.address}:15020`)
    prometheus = await RealPrometheus.start(targets, [join(process.cwd(), rulesFolder, 'hostmesh.rules.yaml')])
  })

  after(async () => {
    await prometheus?.close()
    await pair?.close()
    await collector?.close()
  })

  const query = (expr: string): Promise<Sample[]> => prometheus!.query(expr)

  it('promtool takes the rules, and each alert fires when it should and is quiet when it should', async () => {
    await run('promtool', ['check', 'rules', 'hostmesh.rules.yaml'], { cwd: rulesFolder })
    await run('promtool', ['test', 'rules', 'hostmesh.test.yaml'], { cwd: rulesFolder })
  })

  it('none of our alerts fires on healthy hosts', async () => {
    await until(20_000, 'rules were evaluated', async () => (await query('hostmesh:requests:rate5m')).length > 0)
    const firing = await query('ALERTS{alertstate="firing"}')
    expect(firing.map(({ metric }) => metric['alertname'])).to.deep.equal([])
    expect(alerts.length).to.be.above(10)
  })

  it('every query of every panel of the shipped files shows data of real hosts, with the choices that a user has', async () => {
    const { alpha, center, mesh } = pair!
    // no address of a network: an endpoint that is refused; and a collector that takes not everything
    mesh.tell('nowhere', [{ address: '0.0.0.0', port: 80 }])
    collector!.rejects = 1
    const isSeen = new Map<string, boolean>()
    const empty = (): string[] => [...isSeen].filter(([, isFull]) => !isFull).map(([asked]) => asked)
    const look = async (): Promise<void> => {
      await pair!.ask({}, '/seen')
      for (const name of ['nobody', 'nowhere'])
        await call(alpha.options.address, sharedPort, { 'x-mesh-service': name })
      for (const dashboard of shippedDashboards()) {
        const chosen = await choicesOf(dashboard)
        for (const { targets, title } of dashboard.panels)
          for (const { expr } of targets) {
            const name = `${dashboard.uid}: ${title}: ${expr}`
            if (isSeen.get(name) === true) continue
            const asked = expr.replaceAll(/\$(\w+)/g, (_, list: string) => chosen.get(list)!)
            isSeen.set(name, (await query(asked)).length > 0)
          }
      }
    }
    const ofCenters = (name: string): boolean => name.includes('hostmesh_center_usable')
    const all = (what: string, isDone: () => boolean): Promise<unknown> =>
      until(40_000, what, async () => {
        await look()
        return isDone()
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}; no data: ${empty().join('\n')}`)
      })
    await until(30_000, 'all hosts are scraped', async () => (await query('hostmesh_ready == 1')).length === 3)
    await all('data for every query', () => empty().every(ofCenters))
    // the watchdog tells of its centers when one changes
    await center!.stop()
    await all('data of a center that is gone', () => empty().length === 0)
  })

  /** All values of each list, as Grafana puts several into a query. */
  async function choicesOf({ templating }: ShippedDashboard): Promise<Map<string, string>> {
    const chosen = new Map<string, string>()
    for (const { name, query: list } of templating.list) {
      if (typeof list === 'string') continue
      const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(list.query)!
      const rows = await query(`count by (${label}) (${metric})`)
      const values = rows.map(({ metric: labels }) => labels[label!]!.replaceAll('.', '\\\\.'))
      chosen.set(name, `(${values.join('|')})`)
    }
    return chosen
  }
})
