import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { alerts, recordings, runbookOf } from '../../../scripts/observability/alerts.ts'
import { dashboards } from '../../../scripts/observability/dashboards.ts'
import { observabilityFiles } from '../../../scripts/observability/files.ts'

/** What Prometheus itself makes. */
const foreign = new Set(['up'])

function metricsIn(expr: string): string[] {
  const names = expr.match(/\b(?:hostmesh|istio)_[a-z0-9_]+|\bhostmesh:[a-z0-9_:]+|\bup\b/g) ?? []
  return names.map((name) => name.replace(/_(?:bucket|sum|count)$/, ''))
}

describe('alerts and dashboards', () => {
  const page = readFileSync('docs/metrics.md', 'utf8')
  const recorded = new Set(recordings.map(({ record }) => record))
  const isKnown = (name: string): boolean =>
    foreign.has(name) || recorded.has(name) || page.includes(`\`${name}\``) || page.includes(`\`${name}{`)

  it('name only metrics that exist', () => {
    const exprs = [
      ...alerts.map(({ expr }) => expr),
      ...recordings.map(({ expr }) => expr),
      ...dashboards.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(([expr]) => expr))),
    ]
    for (const expr of exprs) expect(metricsIn(expr), expr).to.not.be.empty
    expect([...new Set(exprs.flatMap(metricsIn))].filter((name) => !isKnown(name))).to.deep.equal([])
  })

  it('every alarm of docs/metrics.md has an alert', () => {
    const alarms = page
      .slice(page.indexOf('## Alarms worth having'), page.indexOf('\n## ', page.indexOf('## Alarms') + 10))
      .match(/\| `(hostmesh_[a-z0-9_]+)/g)!
      .map((cell) => cell.slice(3))
    expect(alarms.length).to.be.above(5)
    const watched = new Set(alerts.flatMap(({ expr }) => metricsIn(expr)))
    expect(alarms.filter((name) => !watched.has(name))).to.deep.equal([])
  })

  it('each alert has a page of its own, with something to look at and something to do', () => {
    const files = observabilityFiles()
    expect(new Set(alerts.map(runbookOf)).size).to.equal(alerts.length)
    for (const alert of alerts) {
      expect(files.has(`docs/runbooks/${runbookOf(alert)}.md`)).to.equal(true)
      expect(alert.look).to.not.be.empty
      expect(alert.act).to.not.be.empty
    }
  })

  it('dashboards are JSON with ids that do not collide', () => {
    for (const [file, text] of observabilityFiles()) {
      if (!file.endsWith('.json')) continue
      const { panels, uid } = JSON.parse(text) as { uid: string; panels: { id: number }[] }
      expect(uid).to.match(/^hostmesh-[a-z]+$/)
      expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length)
    }
  })
})
