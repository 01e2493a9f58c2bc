/** Roll-outs of rules: how far each is, how its share does beside the rest, and how it ended. */
import { share, span, time } from './format.ts'
import { html, type View } from './html.ts'
import { Asked, Badge, Table, type Tone } from './parts.ts'
import { useData } from './use-data.ts'
import { t } from './words.ts'

interface Signals {
  readonly hosts: number
  readonly requests: number
  readonly failures: number
  readonly p99Ms: number
}

interface Rollout {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly creationTimestamp: string }
  /** `observe`: `120000ms`. */
  readonly spec: {
    readonly rule: { readonly kind: string; readonly metadata: { readonly name: string } }
    readonly observe: string
  }
  readonly status: {
    readonly state: string
    readonly reason: string
    readonly user: string
    readonly hosts: readonly string[]
    readonly endedAt?: string
    readonly share?: Signals
    readonly rest?: Signals
  }
}

const tones: Readonly<Record<string, Tone>> = { running: 'warn', done: 'good', reverted: 'bad' }
const nameOf = ({ metadata }: Rollout): string => `${metadata.namespace}/${metadata.name}`

interface Found {
  readonly items: readonly Rollout[]
}

export function Rollouts(): View {
  const found = useData<Found>('/apis/hostmesh.io/v1/rollouts', 2000)
  return html`<${Asked}
    asked=${found}
    show=${({ items }: Found) =>
      html`<${Table}
        label=${t('rollouts')}
        empty=${t('noRollouts')}
        rows=${items}
        keyOf=${(one: Rollout) => `${nameOf(one)} ${one.metadata.creationTimestamp}`}
        columns=${[
          {
            title: t('rule'),
            cell: (one: Rollout) =>
              html`<a
                href=${`#/rules/edit/${[one.spec.rule.kind, one.metadata.namespace, one.spec.rule.metadata.name].map(encodeURIComponent).join('/')}`}
                >${nameOf(one)}</a
              >`,
          },
          {
            title: t('state'),
            cell: ({ status }: Rollout) =>
              html`<${Badge} tone=${tones[status.state] ?? 'plain'} text=${status.state} />`,
          },
          { title: t('progress'), cell: (one: Rollout) => html`<${Progress} rollout=${one} />` },
          { title: t('began'), cell: ({ metadata }: Rollout) => time(Date.parse(metadata.creationTimestamp)) },
          { title: t('by'), cell: ({ status }: Rollout) => status.user },
          {
            title: t('hosts'),
            cell: ({ status }: Rollout) => html`<span title=${status.hosts.join(', ')}>${status.hosts.length}</span>`,
          },
          { title: t('share'), cell: ({ status }: Rollout) => html`<${Figures} signals=${status.share} />` },
          { title: t('rest'), cell: ({ status }: Rollout) => html`<${Figures} signals=${status.rest} />` },
          {
            title: t('reason'),
            cell: ({ status }: Rollout) => html`<div class="wrap">${status.reason || '–'}</div>`,
          },
        ]}
      />`}
  />`
}

/** Of the time that it is to be observed. */
function Progress({ rollout }: { readonly rollout: Rollout }): View {
  const { metadata, spec, status } = rollout
  const end = status.endedAt === undefined ? Date.now() : Date.parse(status.endedAt)
  const passed = Math.max(0, end - Date.parse(metadata.creationTimestamp))
  const whole = Number.parseInt(spec.observe, 10)
  const words = `${span(passed)} / ${span(whole)}`
  if (status.state !== 'running') return html`<span class="quiet">${words}</span>`
  return html`<progress max=${whole} value=${Math.min(passed, whole)} aria-label=${t('progress')}></progress> ${words}`
}

function Figures({ signals }: { readonly signals: Signals | undefined }): View {
  if (signals === undefined) return html`<span class="quiet">–</span>`
  const { failures, p99Ms, requests } = signals
  const failed = share(failures, requests)
  return html`${requests} ${t('requests')}, ${failed} ${t('failed')}, p99 ${p99Ms < 0 ? '>' : p99Ms} ms`
}
