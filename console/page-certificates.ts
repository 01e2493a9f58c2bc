/** Certificates of this host and its applications, with their ages. */
import type { IdentityRow } from '../contracts/identity-row.ts'
import { span, time } from './format.ts'
import { html, type View } from './html.ts'
import { Asked, Badge, Table, type Tone } from './parts.ts'
import type { PageProps } from './shapes.ts'
import { useData } from './use-data.ts'
import { t } from './words.ts'

const tones: Readonly<Record<IdentityRow['state'], Tone>> = { good: 'good', late: 'warn', ended: 'bad', none: 'bad' }

interface Found {
  readonly identities: readonly IdentityRow[]
  readonly now: number
}

export function Certificates(_props: PageProps): View {
  const found = useData<Found>('identities', 10_000)
  return html`<${Asked}
    asked=${found}
    show=${({ identities, now }: Found) =>
      html`<${Table}
        label=${t('certificates')}
        empty=${t('noCertificates')}
        rows=${identities}
        keyOf=${({ id }: IdentityRow) => id}
        columns=${[
          { title: t('identity'), cell: ({ id }: IdentityRow) => html`<code class="wrap">${id}</code>` },
          { title: t('source'), cell: ({ source }: IdentityRow) => source },
          {
            title: t('state'),
            cell: ({ state }: IdentityRow) => html`<${Badge} tone=${tones[state]} text=${state} />`,
          },
          { title: t('age'), cell: (one: IdentityRow) => html`<${Life} identity=${one} now=${now} />` },
          {
            title: t('left'),
            isNumber: true,
            cell: ({ notAfter }: IdentityRow) => (notAfter === undefined ? '–' : span(notAfter - now)),
          },
          {
            title: t('ends'),
            cell: ({ notAfter }: IdentityRow) => (notAfter === undefined ? '–' : time(notAfter)),
          },
          {
            title: t('renewal'),
            cell: ({ renewAt }: IdentityRow) => (renewAt === undefined ? '–' : time(renewAt)),
          },
          {
            title: t('problems'),
            cell: ({ problem }: IdentityRow) => html`<span class="wrap">${problem ?? '–'}</span>`,
          },
        ]}
      />`}
  />`
}

function Life({ identity, now }: { readonly identity: IdentityRow; readonly now: number }): View {
  const { id, notAfter, notBefore } = identity
  if (notAfter === undefined || notBefore === undefined) return html`<span class="quiet">–</span>`
  const lived = Math.min(1, Math.max(0, (now - notBefore) / (notAfter - notBefore)))
  return html`<meter min="0" max="1" high="0.75" optimum="0" value=${lived} aria-label=${`${t('age')} ${id}`}></meter>`
}
