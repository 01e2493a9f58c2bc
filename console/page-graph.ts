/** Who calls whom: rate, failures, p99 and tier, as a picture and as a table. */
import { callerName, serviceName, span } from './format.ts'
import { GraphView } from './graph-view.ts'
import { html, useMemo, useState, type View } from './html.ts'
import { EdgeTable } from './page-services.ts'
import { Card, Search, Trouble, Waiting } from './parts.ts'
import type { CallEdge, CallGraph } from '../contracts/call-graph.ts'
import type { PageProps } from './shapes.ts'
import { added, byService, slower } from './traffic.ts'
import { useData } from './use-data.ts'
import { t } from './words.ts'

export function GraphPage(_props: PageProps): View {
  const [chosen, setChosen] = useState<string | undefined>(undefined)
  const [search, setSearch] = useState('')
  const [isTable, setIsTable] = useState(false)
  const graph = useData<CallGraph>('graph', 2000)
  const edges = useMemo(() => drawn(graph.value?.edges ?? []), [graph.value])
  const figures = useMemo(() => byService({ edges }), [edges])
  const wanted = search.toLowerCase()
  return html`
    <${Trouble} problem=${graph.problem} at=${graph.at} />
    <div class="bar">
      <${Search} value=${search} onInput=${setSearch} />
      <label><input type="checkbox" checked=${isTable} onChange=${() => setIsTable(!isTable)} /> ${t('asTable')}</label>
      <span class="quiet">
        ${graph.value === undefined || graph.value.windowMs === 0 ? '' : `${t('over')} ${span(graph.value.windowMs)}`}
        ${graph.value !== undefined && graph.value.left > 0 ? ` (+${graph.value.left})` : ''}
      </span>
    </div>
    <${Waiting} asked=${graph} />
    ${graph.value !== undefined && edges.length === 0 ? html`<p class="quiet">${t('noTraffic')}</p>` : null}
    ${
      edges.length === 0
        ? null
        : isTable
          ? html`<${EdgeRows}
              edges=${edges.filter((edge) => `${edge.source} ${edge.target}`.toLowerCase().includes(wanted))}
            />`
          : html`<p class="quiet">${t('graphHelp')}</p>
              <${GraphView}
                edges=${edges}
                figures=${figures}
                chosen=${chosen}
                onChoose=${setChosen}
                wanted=${wanted}
              />`
    }
    ${chosen === undefined || isTable ? null : html`<${Chosen} name=${chosen} edges=${edges} />`}
  `
}

/** Callers are named as the services that they are, where one has that name; of two tiers one arrow tells the sum. */
function drawn(edges: readonly CallEdge[]): CallEdge[] {
  const targets = new Map(edges.map(({ target }) => [serviceName(target), target]))
  const found = new Map<string, CallEdge>()
  for (const edge of edges) {
    const source = targets.get(edge.source) ?? edge.source
    const key = `${source} ${edge.target}`
    const other = found.get(key)
    found.set(key, other === undefined ? { ...edge, source } : sum(other, edge))
  }
  return [...found.values()]
}

function sum(a: CallEdge, b: CallEdge): CallEdge {
  return {
    ...a,
    tier: a.tier === 'agent' ? b.tier : a.tier,
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
    rate: added(a.rate, b.rate),
    failureRate: added(a.failureRate, b.failureRate),
    p99Ms: slower(a.p99Ms, b.p99Ms),
  }
}

function Chosen({ edges, name }: { readonly name: string; readonly edges: readonly CallEdge[] }): View {
  const title = callerName(name)
  const isService = edges.some(({ target }) => target === name)
  return html`<${Card} title=${title}>
    ${isService ? html`<p><a href=${`#/services/${encodeURIComponent(name)}`}>${t('instances')}</a></p>` : null}
    <div class="halves">
      <div>
        <h3>${t('callers')}</h3>
        <${EdgeTable} side="source" edges=${edges.filter(({ target }) => target === name)} />
      </div>
      <div>
        <h3>${t('calls')}</h3>
        <${EdgeTable} side="target" edges=${edges.filter(({ source }) => source === name)} />
      </div>
    </div>
  <//>`
}

function EdgeRows({ edges }: { readonly edges: readonly CallEdge[] }): View {
  const sources = [...new Set(edges.map(({ source }) => source))].toSorted()
  return html`${sources.map(
    (source) =>
      html`<${Card} key=${source} title=${callerName(source)}>
        <${EdgeTable} side="target" edges=${edges.filter((edge) => edge.source === source)} />
      <//>`,
  )}`
}
