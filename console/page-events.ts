/** The timeline, the newest first; new events come in as they happen. */
import { data } from './api.ts'
import { EventFeed } from './event-feed.ts'
import { time } from './format.ts'
import { html, useEffect, useMemo, useState, type View } from './html.ts'
import { Badge, Search, Table, Trouble, type Tone } from './parts.ts'
import type { Events, MeshEvent, PageProps } from './shapes.ts'
import { useData } from './use-data.ts'
import { t } from './words.ts'

const tones: Readonly<Record<MeshEvent['severity'], Tone>> = { info: 'plain', warning: 'warn', error: 'bad' }
const askEveryMs = 2000

export function EventTable(props: { readonly events: readonly MeshEvent[]; readonly isShort?: boolean }): View {
  const { events, isShort = false } = props
  return html`<${Table}
    label=${t('events')}
    rows=${events}
    keyOf=${({ id }: MeshEvent) => String(id)}
    columns=${[
      {
        title: t('when'),
        cell: ({ at }: MeshEvent) => html`<time datetime=${new Date(at).toISOString()}>${time(at)}</time>`,
      },
      {
        title: t('what'),
        cell: ({ kind, severity, what }: MeshEvent) =>
          html`<${Badge} tone=${tones[severity]} text=${`${kind} ${what}`} />`,
      },
      { title: t('about'), cell: ({ about }: MeshEvent) => html`<span class="wrap">${about}</span>` },
      ...(isShort
        ? []
        : [{ title: t('message'), cell: ({ message }: MeshEvent) => html`<span class="wrap">${message}</span>` }]),
    ]}
  />`
}

export function EventsPage(_props: PageProps): View {
  const [events, setEvents] = useState<readonly MeshEvent[]>([])
  const [kind, setKind] = useState('')
  const [search, setSearch] = useState('')
  const feed = useMemo(() => new EventFeed((after) => data<Events>(`events?after=${after}`), setEvents), [])
  const first = useData<Events>('events', 0, (value) => feed.begin(value))
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) void feed.look()
    }, askEveryMs)
    return () => clearInterval(timer)
  }, [])
  const wanted = search.toLowerCase()
  const kinds = [...new Set(events.map((event) => event.kind))].toSorted()
  const shown = events
    .filter((event) => kind === '' || event.kind === kind)
    .filter(({ about, message, what }) => `${about} ${what} ${message}`.toLowerCase().includes(wanted))
    .toReversed()
  return html`
    <${Trouble} problem=${first.problem} at=${first.at} />
    <div class="bar">
      <${Search} value=${search} onInput=${setSearch} />
      <select
        aria-label=${t('kind')}
        value=${kind}
        onChange=${(event: { currentTarget: HTMLSelectElement }) => setKind(event.currentTarget.value)}
      >
        <option value="">${t('all')}</option>
        ${kinds.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}
      </select>
    </div>
    <${EventTable} events=${shown} />
  `
}
