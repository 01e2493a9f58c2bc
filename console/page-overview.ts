/** How the node is, what passes, what happened last. */
import { Chart } from './chart.ts'
import { EventTable } from './page-events.ts'
import { ms, rate, serviceName, share, span } from './format.ts'
import { html, useState, type View } from './html.ts'
import { Card, Figure, Table, Trouble, Waiting } from './parts.ts'
import type { CallGraph } from '../contracts/call-graph.ts'
import type { About, Events, PageProps, ServerInfo } from './shapes.ts'
import { byService, remember, type Moment } from './traffic.ts'
import { useData } from './use-data.ts'
import { t } from './words.ts'

export function Overview(_props: PageProps): View {
  const [moments, setMoments] = useState<readonly Moment[]>([])
  const info = useData<ServerInfo>('server_info?format=hostmesh', 5000)
  const ready = useData<About>('about', 5000)
  const fallback = useData<{ tier: string }>('fallback', 5000)
  const events = useData<Events>('events?limit=8', 5000)
  const graph = useData<CallGraph>('graph', 3000, (value) => setMoments([...remember(value, Date.now())]))
  const node = info.value
  const state = ready.value?.state
  const tier = fallback.value?.tier
  const busiest =
    graph.value === undefined
      ? []
      : [...byService(graph.value).values()].toSorted(
          (a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.requests - a.requests,
        )
  const up = node?.registries.filter(({ connected }) => connected).length
  return html`
    <${Trouble} problem=${info.problem ?? graph.problem} at=${info.at} />
    ${(state?.problems ?? []).map((problem) => html`<p key=${problem} class="trouble">${problem}</p>`)}
    ${(state?.pending ?? []).map((wait) => html`<p key=${wait} class="trouble">${wait}</p>`)}
    <div class="figures">
      <${Figure}
        name=${t('ready')}
        value=${node?.state ?? '…'}
        tone=${state === undefined ? 'plain' : state.ready ? 'good' : 'bad'}
      />
      <${Figure}
        name=${t('tier')}
        value=${tier ?? '…'}
        tone=${tier === undefined || tier === 'agent' ? 'plain' : 'warn'}
      />
      <${Figure}
        name=${t('registries')}
        value=${node === undefined ? '…' : `${up} / ${node.registries.length}`}
        tone=${node !== undefined && up !== node.registries.length ? 'bad' : 'plain'}
      />
      <${Figure} name=${t('servicesInUse')} value=${node?.services ?? '…'} />
      <${Figure} name=${t('workers')} value=${node?.workers.length ?? '…'} />
      <${Figure} name=${t('generation')} value=${node?.generation ?? '…'} />
      <${Figure} name=${t('uptime')} value=${node === undefined ? '…' : span(node.uptimeSeconds * 1000)} />
      <${Figure} name=${t('release')} value=${node?.version ?? '…'} />
    </div>
    <${Card} title=${t('requestRate')}><${Chart} moments=${moments} /><//>
    <div class="halves">
      <${Card} title=${t('busiest')}>
        <${Waiting} asked=${graph} />
        ${
          graph.value === undefined
            ? null
            : html`<${Table}
                label=${t('busiest')}
                empty=${t('noTraffic')}
                rows=${busiest.slice(0, 8)}
                keyOf=${({ service }: { service: string }) => service}
                columns=${[
                  {
                    title: t('service'),
                    cell: ({ service }: { service: string }) =>
                      html`<a href=${`#/services/${encodeURIComponent(service)}`}>${serviceName(service)}</a>`,
                  },
                  { title: t('requests'), isNumber: true, cell: (row: { rate: number | null }) => rate(row.rate) },
                  {
                    title: t('failed'),
                    isNumber: true,
                    cell: (row: { rate: number | null; failureRate: number | null }) =>
                      html`<span class=${(row.failureRate ?? 0) > 0 ? 'bad-text' : ''}
                        >${share(row.failureRate, row.rate)}</span
                      >`,
                  },
                  { title: 'p99', isNumber: true, cell: (row: { p99Ms: number | null }) => ms(row.p99Ms) },
                ]}
              />`
        }
      <//>
      <${Card} title=${t('latestEvents')}>
        <${EventTable} events=${[...(events.value?.events ?? [])].toReversed()} isShort=${true} />
      <//>
    </div>
  `
}
