/** Every file that is made of the descriptions, by path. */
import { stringify } from 'yaml'
import { alerts, recordings, runbookOf } from './alerts.ts'
import type { Alert, Recording } from './alerts.ts'
import { dashboards } from './dashboards.ts'
import type { Dashboard, Panel } from './dashboards.ts'

const made = '# Made by `npm run docs` of scripts/observability; change it there.\n'

export function observabilityFiles(): Map<string, string> {
  const files = new Map<string, string>()
  const yaml = (value: unknown): string => made + stringify(value, { lineWidth: 0 })
  files.set('observability/prometheus/hostmesh.rules.yaml', yaml(rules()))
  files.set('observability/prometheus/hostmesh.test.yaml', yaml(ruleTests()))
  for (const dashboard of dashboards)
    files.set(`observability/grafana/${dashboard.uid}.json`, `${JSON.stringify(grafana(dashboard), null, 2)}\n`)
  for (const alert of alerts) files.set(`docs/runbooks/${runbookOf(alert)}.md`, runbook(alert))
  files.set('docs/runbooks/README.md', index())
  return files
}

function rules(): object {
  return {
    groups: [
      { name: 'hostmesh-recordings', rules: recordings.map(({ expr, record }) => ({ record, expr })) },
      {
        name: 'hostmesh-alerts',
        rules: alerts.map((alert) => ({
          alert: alert.name,
          expr: alert.expr,
          for: alert.for,
          labels: { severity: alert.severity },
          annotations: { summary: alert.summary, runbook_url: `docs/runbooks/${runbookOf(alert)}.md` },
        })),
      },
    ],
  }
}

/**
 * promtool asks whether an alert fires; its labels and texts would only repeat the rules, so the count is asked as a
 * query.
 */
function ruleTests(): object {
  const evalTime = '30m'
  const asInput = (series: Alert['fires']): object[] => series.map(([name, values]) => ({ series: name, values }))
  const recorded = ({ given, record, recorded: samples }: Recording): object => ({
    name: `${record} is recorded`,
    interval: '1m',
    input_series: asInput(given),
    promql_expr_test: [
      {
        expr: record,
        eval_time: '20m',
        exp_samples: samples.map(([labels, value]) => ({ labels: `${record}${labels}`, value })),
      },
    ],
  })
  const test = (alert: Alert, series: Alert['fires'], count: number): object => ({
    name: `${alert.name} ${count === 0 ? 'is quiet' : 'fires'}`,
    interval: '1m',
    input_series: asInput(series),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alert.name}", alertstate="firing"}) or vector(0)`,
        eval_time: alert.for === '0m' ? '10m' : evalTime,
        exp_samples: [{ labels: '{}', value: count }],
      },
    ],
  })
  return {
    rule_files: ['hostmesh.rules.yaml'],
    evaluation_interval: '1m',
    tests: [
      ...recordings.map(recorded),
      ...alerts.flatMap((alert) => [test(alert, alert.fires, 1), test(alert, alert.quiet, 0)]),
    ],
  }
}

const width = 12
const height = 8

function grafana({ panels, title, uid }: Dashboard): object {
  const usesService = panels.some(({ queries }) => queries.some(([expr]) => expr.includes('$service')))
  const variable = (name: string, label: string): object => ({
    name,
    label: name,
    type: 'query',
    datasource: { type: 'prometheus', uid: '${datasource}' },
    query: { query: `label_values(${label})`, refId: name },
    refresh: 2,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { selected: true, text: 'All', value: '$__all' },
  })
  return {
    uid,
    title,
    tags: ['hostmesh'],
    schemaVersion: 38,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    annotations: {},
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus', refresh: 1 },
        variable('instance', 'hostmesh_build_info, instance'),
        ...(usesService ? [variable('service', 'istio_requests_total, destination_service_name')] : []),
      ],
    },
    panels: panels.map((panel, at) => grafanaPanel(panel, at)),
  }
}

function grafanaPanel({ kind = 'timeseries', queries, title, unit }: Panel, at: number): object {
  return {
    id: at + 1,
    type: kind,
    title,
    datasource: { type: 'prometheus', uid: '${datasource}' },
    gridPos: { h: height, w: width, x: (at % 2) * width, y: Math.floor(at / 2) * height },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    targets: queries.map(([expr, legendFormat], index) => ({
      refId: String.fromCodePoint(65 + index),
      expr,
      legendFormat,
      datasource: { type: 'prometheus', uid: '${datasource}' },
    })),
  }
}

function runbook(alert: Alert): string {
  return `# ${alert.name}

${alert.meaning}

Fires when \`${alert.expr}\` holds${alert.for === '0m' ? '' : ` for ${alert.for}`}; severity \`${alert.severity}\`.

## Look

\`\`\`sh
${alert.look.join('\n')}
\`\`\`

## Act

${alert.act.map((line) => `- ${line}`).join('\n')}
`
}

function index(): string {
  return `# Runbooks

One page for each alert of \`observability/prometheus/hostmesh.rules.yaml\`, made of the same description.

${alerts.map((alert) => `- [${alert.name}](${runbookOf(alert)}.md): ${alert.meaning.split(/(?<=[.:]) /)[0]!.replace(/:$/, '.')}`).join('\n')}
`
}
