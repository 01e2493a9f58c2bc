/** Hosts as they report to this center. */
import { span, time } from './format.ts'
import { html, useState, type View } from './html.ts'
import { Badge, Card, Pairs, Search, Table, Trouble, Waiting, type Tone } from './parts.ts'
import type { PageProps } from './shapes.ts'
import { useData } from './use-data.ts'
import { t } from './words.ts'

interface Host {
  readonly host: string
  readonly state: string
  readonly heardAt: number
  readonly unhealthyInstances: readonly string[]
  readonly report: {
    readonly address: string
    readonly zone: string
    readonly version: string
    readonly generation: number
    readonly isReady: boolean
    readonly problems: readonly string[]
    readonly labels: Readonly<Record<string, string>>
    readonly tier: { readonly now: string }
    readonly applications: readonly {
      readonly service: string
      readonly address: string
      readonly port: number
      readonly inboundPort: number
      readonly health: string
      readonly problem: string
    }[]
    readonly rules: {
      readonly rejected: readonly { readonly kind: string; readonly name: string; readonly message: string }[]
    }
    readonly lastRestart?: {
      readonly kind: string
      readonly outcome: string
      readonly cause: string
      readonly at: number
      readonly servingMs: number
    }
  }
}

const tones: Readonly<Record<string, Tone>> = { reporting: 'good', returning: 'warn', silent: 'warn', dead: 'bad' }

export function Hosts({ rest }: PageProps): View {
  const [search, setSearch] = useState('')
  const found = useData<{ hosts: readonly Host[]; now: number }>('hosts', 3000)
  const now = found.value?.now ?? 0
  const wanted = search.toLowerCase()
  const hosts = (found.value?.hosts ?? []).filter(({ host, report, state }) =>
    `${host} ${report.address} ${report.zone} ${state}`.toLowerCase().includes(wanted),
  )
  const one = found.value?.hosts.find(({ host }) => host === rest[0])
  return html`
    <${Trouble} problem=${found.problem} at=${found.at} />
    ${one === undefined ? null : html`<${OneHost} host=${one} now=${now} />`}
    <div class="bar"><${Search} value=${search} onInput=${setSearch} /></div>
    <${Waiting} asked=${found} />
    ${
      found.value === undefined
        ? null
        : html`<${Table}
            label=${t('hosts')}
            rows=${hosts}
            keyOf=${({ host }: Host) => host}
            columns=${[
              {
                title: t('host'),
                cell: ({ host }: Host) => html`<a href=${`#/hosts/${encodeURIComponent(host)}`}>${host}</a>`,
              },
              {
                title: t('state'),
                cell: ({ state }: Host) => html`<${Badge} tone=${tones[state] ?? 'plain'} text=${state} />`,
              },
              { title: t('address'), cell: ({ report }: Host) => html`<code>${report.address}</code>` },
              { title: t('zone'), cell: ({ report }: Host) => report.zone || '–' },
              { title: t('heard'), cell: ({ heardAt }: Host) => `${span(now - heardAt)} ${t('ago')}` },
              {
                title: t('tier'),
                cell: ({ report }: Host) =>
                  html`<${Badge} tone=${report.tier.now === 'agent' ? 'plain' : 'warn'} text=${report.tier.now} />`,
              },
              { title: t('generation'), isNumber: true, cell: ({ report }: Host) => report.generation },
              {
                title: t('lastRestart'),
                cell: ({ report }: Host) => html`<${Restart} restart=${report.lastRestart} />`,
              },
              { title: t('applications'), isNumber: true, cell: ({ report }: Host) => report.applications.length },
              {
                title: t('problems'),
                isNumber: true,
                cell: ({ report }: Host) => report.problems.length + report.rules.rejected.length,
              },
            ]}
          />`
    }
  `
}

function Restart({ restart }: { readonly restart: Host['report']['lastRestart'] }): View {
  if (restart === undefined) return html`<span class="quiet">–</span>`
  const { at, kind, outcome } = restart
  return html`<${Badge} tone=${outcome === 'done' ? 'good' : 'bad'} text=${`${kind} ${outcome}`} />
    <span class="quiet">${time(at)}</span>`
}

function OneHost({ host, now }: { readonly host: Host; readonly now: number }): View {
  const { heardAt, report, state, unhealthyInstances } = host
  const labels = Object.entries(report.labels).map(([name, value]) => `${name}=${value}`)
  const rows: [string, unknown][] = [
    [t('state'), html`<${Badge} tone=${tones[state] ?? 'plain'} text=${state} />`],
    [t('heard'), `${span(now - heardAt)} ${t('ago')}`],
    [t('release'), report.version],
    [t('lastRestart'), html`<${Restart} restart=${report.lastRestart} /> ${report.lastRestart?.cause ?? ''}`],
    ...(labels.length === 0 ? [] : [['labels', labels.join(', ')] as [string, unknown]]),
  ]
  return html`<${Card} title=${host.host}>
    <${Pairs} rows=${rows} />
    ${report.problems.map((problem) => html`<p key=${problem} class="trouble">${problem}</p>`)}
    ${report.rules.rejected.map(({ kind, message, name }) => html`<p class="trouble">${kind} ${name}: ${message}</p>`)}
    ${unhealthyInstances.length === 0 ? null : html`<p class="trouble">${unhealthyInstances.join(', ')}</p>`}
    <${Table}
      label=${t('applications')}
      rows=${report.applications}
      keyOf=${(one: Host['report']['applications'][number]) => `${one.service} ${one.address}:${one.port}`}
      columns=${[
        {
          title: t('service'),
          cell: ({ service }: { service: string }) =>
            html`<a href=${`#/services/${encodeURIComponent(service)}`}>${service}</a>`,
        },
        {
          title: t('address'),
          cell: (one: { address: string; port: number }) => html`<code>${one.address}:${one.port}</code>`,
        },
        { title: 'inbound', isNumber: true, cell: ({ inboundPort }: { inboundPort: number }) => inboundPort || '–' },
        {
          title: t('state'),
          cell: ({ health, problem }: { health: string; problem: string }) =>
            html`<${Badge} tone=${health === 'unhealthy' ? 'bad' : 'good'} text=${health} /> ${problem}`,
        },
      ]}
    />
  <//>`
}
