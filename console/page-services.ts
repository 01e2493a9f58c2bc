/** Services and, of one, its instances: what the registry says and what the workers see. */
import { callerName, count, ms, rate, serviceName, share } from './format.ts'
import { html, useState, type View } from './html.ts'
import { Badge, Card, Pairs, Search, Table, Trouble, Waiting } from './parts.ts'
import type { CallEdge, CallGraph } from '../contracts/call-graph.ts'
import type { Instance, PageProps, ServiceRow, Services } from './shapes.ts'
import { byService } from './traffic.ts'
import { useData } from './use-data.ts'
import { t } from './words.ts'

export function ServicesPage({ rest }: PageProps): View {
  const [key] = rest
  return key === undefined || key === '' ? html`<${ServiceList} />` : html`<${OneService} service=${key} />`
}

function ServiceList(): View {
  const [search, setSearch] = useState('')
  const services = useData<Services>('services', 5000)
  const graph = useData<CallGraph>('graph', 5000)
  const traffic = graph.value === undefined ? undefined : byService(graph.value)
  const wanted = search.toLowerCase()
  const rows = (services.value?.services ?? []).filter(({ service }) => service.toLowerCase().includes(wanted))
  const of = ({ service }: ServiceRow) => traffic?.get(service)
  return html`
    <${Trouble} problem=${services.problem} at=${services.at} />
    ${(services.value?.problems ?? []).map((problem) => html`<p key=${problem} class="trouble">${problem}</p>`)}
    <div class="bar">
      <${Search} value=${search} onInput=${setSearch} />
      <span class="quiet" role="status">${count(rows.length)}</span>
    </div>
    <${Waiting} asked=${services} />
    ${
      services.value === undefined
        ? null
        : html`<${Table}
            label=${t('services')}
            empty=${search === '' ? t('nothing') : t('nothingFound')}
            rows=${rows}
            keyOf=${({ service }: ServiceRow) => service}
            columns=${[
              {
                title: t('service'),
                cell: ({ service }: ServiceRow) =>
                  html`<a href=${`#/services/${encodeURIComponent(service)}`} title=${service}
                    >${serviceName(service)}</a
                  >`,
              },
              { title: t('registry'), cell: ({ registry }: ServiceRow) => registry || '–' },
              { title: t('instances'), cell: (row: ServiceRow) => html`<${InstanceCount} row=${row} />` },
              {
                title: t('requests'),
                isNumber: true,
                cell: (row: ServiceRow) => (of(row) ? rate(of(row)?.rate) : '–'),
              },
              {
                title: t('failed'),
                isNumber: true,
                cell: (row: ServiceRow) => (of(row) ? share(of(row)?.failureRate, of(row)?.rate) : '–'),
              },
              { title: 'p99', isNumber: true, cell: (row: ServiceRow) => ms(of(row)?.p99Ms) },
            ]}
          />`
    }
  `
}

function InstanceCount({ row: { healthy, held, instances } }: { readonly row: ServiceRow }): View {
  if (instances < 0) return html`<span class="quiet">–</span>`
  const tone = healthy === 0 ? 'bad' : healthy < instances ? 'warn' : 'good'
  return html`<${Badge} tone=${tone} text=${`${healthy} / ${instances} ${t('healthy')}`} />
    ${held > 0 ? html` <${Badge} tone="warn" text=${`${held} ${t('held')}`} />` : null}`
}

interface ServiceDetail {
  readonly service: string
  readonly instances: readonly Instance[] | null
  readonly breaker: string
}

function OneService({ service }: { readonly service: string }): View {
  const detail = useData<ServiceDetail>(`services?name=${encodeURIComponent(service)}`, 3000)
  const graph = useData<CallGraph>('graph', 3000)
  const callers = (graph.value?.edges ?? []).filter(({ target }) => target === service)
  const short = serviceName(service)
  const calls = (graph.value?.edges ?? []).filter(({ source }) => source === service || source === short)
  const found = detail.value
  return html`
    <p class="crumbs"><a href="#/services">${t('services')}</a> / <strong>${service}</strong></p>
    <${Trouble} problem=${detail.problem} at=${detail.at} />
    <${Waiting} asked=${detail} />
    ${found?.instances === null ? html`<p class="quiet">${t('notUsedHere')}</p>` : null}
    ${
      found?.instances
        ? html`<${Card} title=${t('instances')}>
            ${
              found.breaker === 'open' || found.breaker === 'half-open'
                ? html`<p class="trouble">circuit breaker: ${found.breaker}</p>`
                : null
            }
            <${Table}
              label=${t('instances')}
              rows=${found.instances}
              keyOf=${({ endpoint }: Instance) => endpoint}
              columns=${[
                { title: t('instance'), cell: ({ endpoint }: Instance) => html`<code>${endpoint}</code>` },
                {
                  title: t('state'),
                  cell: ({ isUsed, state }: Instance) =>
                    html`<${Badge} tone=${isUsed ? 'good' : 'bad'} text=${state} />`,
                },
                { title: t('release'), cell: ({ version }: Instance) => version || '–' },
                { title: t('zone'), cell: ({ zone }: Instance) => zone || '–' },
                { title: t('weight'), isNumber: true, cell: ({ weight }: Instance) => weight },
                { title: t('requests'), isNumber: true, cell: ({ requests }: Instance) => count(requests) },
                { title: t('failed'), isNumber: true, cell: ({ failures }: Instance) => count(failures) },
                {
                  title: t('latency'),
                  isNumber: true,
                  cell: ({ latencyMs, requests }: Instance) => (requests === 0 ? '–' : ms(latencyMs)),
                },
                { title: t('metadata'), cell: ({ metadata }: Instance) => html`<${Metadata} metadata=${metadata} />` },
              ]}
            />
          <//>`
        : null
    }
    <div class="halves">
      <${Card} title=${t('callers')}><${EdgeTable} edges=${callers} side="source" /><//>
      <${Card} title=${t('calls')}><${EdgeTable} edges=${calls} side="target" /><//>
    </div>
  `
}

function Metadata({ metadata }: { readonly metadata: Instance['metadata'] }): View {
  const pairs = Object.entries(metadata)
  if (pairs.length === 0) return html`<span class="quiet">–</span>`
  return html`<details>
    <summary>${pairs.length}</summary>
    <${Pairs} rows=${pairs} />
  </details>`
}

export function EdgeTable(props: { readonly edges: readonly CallEdge[]; readonly side: 'source' | 'target' }): View {
  const { edges, side } = props
  return html`<${Table}
    label=${side === 'source' ? t('callers') : t('calls')}
    empty=${t('noTraffic')}
    rows=${edges.toSorted((a, b) => (b.rate ?? 0) - (a.rate ?? 0))}
    keyOf=${(edge: CallEdge) => `${edge.source} ${edge.target} ${edge.tier}`}
    columns=${[
      {
        title: side === 'source' ? t('caller') : t('service'),
        cell: (edge: CallEdge) =>
          side === 'target'
            ? html`<a href=${`#/services/${encodeURIComponent(edge.target)}`}>${serviceName(edge.target)}</a>`
            : callerName(edge.source),
      },
      {
        title: t('tier'),
        cell: ({ tier }: CallEdge) => html`<${Badge} tone=${tier === 'agent' ? 'plain' : 'warn'} text=${tier} />`,
      },
      { title: t('requests'), isNumber: true, cell: (edge: CallEdge) => rate(edge.rate) },
      { title: t('failed'), isNumber: true, cell: (edge: CallEdge) => share(edge.failureRate, edge.rate) },
      { title: 'p99', isNumber: true, cell: (edge: CallEdge) => ms(edge.p99Ms) },
    ]}
  />`
}
