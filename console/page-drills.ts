/** Reports of the drills that ran on this host. */
import { count, ms, time } from './format.ts'
import { html, type View } from './html.ts'
import { Asked, Badge, Card, Pairs } from './parts.ts'
import type { PageProps } from './shapes.ts'
import { useData } from './use-data.ts'
import { t } from './words.ts'

interface Drill {
  readonly drill: string
  readonly host: string
  readonly startedAt: string
  readonly promise: string
  readonly verdict: 'kept' | 'broken'
  readonly problems: readonly string[]
  readonly recoveryMs?: number
  readonly maxLost: number
  readonly probe: {
    readonly calls: number
    readonly errors: number
    readonly p50Ms: number
    readonly p99Ms: number
    readonly tiers: Readonly<Record<string, number>>
  }
}

interface Found {
  readonly drills: readonly Drill[]
}

export function Drills(_props: PageProps): View {
  const found = useData<Found>('drills', 10_000)
  return html`<${Asked}
    asked=${found}
    show=${({ drills }: Found) =>
      drills.length === 0
        ? html`<p class="quiet">${t('noDrills')}</p>`
        : drills.map((one) => html`<${Report} key=${`${one.startedAt} ${one.drill}`} report=${one} />`)}
  />`
}

function Report({ report }: { readonly report: Drill }): View {
  const { drill, maxLost, probe, problems, promise, recoveryMs, startedAt, verdict } = report
  const tiers = Object.entries(probe.tiers).map(([tier, calls]) => `${tier} ${count(calls)}`)
  const rows = [
    [t('promise'), promise],
    [t('probes'), count(probe.calls)],
    [t('lost'), `${count(probe.errors)} (≤ ${maxLost})`],
    [t('recovery'), ms(recoveryMs)],
    ['p50 / p99', `${ms(probe.p50Ms)} / ${ms(probe.p99Ms)}`],
    [t('tier'), tiers.join(', ') || '–'],
  ]
  return html`<${Card} title=${`${drill} · ${time(Date.parse(startedAt))}`}>
    <p><${Badge} tone=${verdict === 'kept' ? 'good' : 'bad'} text=${verdict} /></p>
    <${Pairs} rows=${rows} />
    ${problems.map((problem) => html`<p key=${problem} class="trouble">${problem}</p>`)}
  <//>`
}
