/** What would be done with a request, decided by the data path's own code. */
import { data, type ApiProblem } from './api.ts'
import { html, useState, type View } from './html.ts'
import { Badge, Card, Pairs, Table } from './parts.ts'
import type { PageProps } from './shapes.ts'
import { t } from './words.ts'

interface Candidate {
  readonly endpoint: string
  readonly usable: boolean
  readonly reason: string
}

interface Answer {
  readonly listener: string
  readonly name?: string
  readonly virtualHost?: string
  readonly outcome: string
  readonly steps: readonly {
    readonly rule: string
    readonly origin: string
    readonly matched: boolean
    readonly reason: string
  }[]
  readonly filters: readonly { readonly filter: string; readonly does: string }[]
  readonly destinations: readonly {
    readonly service: string
    readonly subset?: string
    readonly share: number
    readonly note?: string
    readonly candidates: readonly Candidate[]
    readonly policy: readonly { readonly path: string; readonly value: string; readonly origin: string }[]
  }[]
}

export function Explain(_props: PageProps): View {
  const [asked, setAsked] = useState({ method: 'GET', host: '', path: '/', headers: '', source: '' })
  const [answer, setAnswer] = useState<Answer | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const field = (name: keyof typeof asked, label: string) =>
    html`<label class="field">
      <span>${label}</span>
      <input
        value=${asked[name]}
        spellcheck=${false}
        onInput=${(event: { currentTarget: HTMLInputElement }) =>
          setAsked({ ...asked, [name]: event.currentTarget.value })}
      />
    </label>`
  const submit = (event: Event): void => {
    event.preventDefault()
    const query = new URLSearchParams({ method: asked.method, host: asked.host, path: asked.path })
    if (asked.source.trim() !== '') query.set('source', asked.source.trim())
    for (const line of asked.headers.split('\n')) if (line.trim() !== '') query.append('header', line.trim())
    data<Answer>(`explain?${query.toString()}`).then(
      (found) => {
        setProblem('')
        setAnswer(found)
      },
      (error: ApiProblem) => {
        setAnswer(undefined)
        setProblem(error.message)
      },
    )
  }
  return html`
    <form class="card form" onSubmit=${submit}>
      ${field('method', t('method'))} ${field('host', t('hostHeader'))} ${field('path', t('path'))}
      ${field('source', t('callingApp'))}
      <label class="field wide">
        <span>${t('headers')}</span>
        <textarea
          rows="3"
          spellcheck=${false}
          value=${asked.headers}
          placeholder="x-user: alice"
          onInput=${(event: { currentTarget: HTMLTextAreaElement }) => setAsked({ ...asked, headers: event.currentTarget.value })}
        ></textarea>
      </label>
      <button type="submit" class="primary">${t('ask')}</button>
    </form>
    ${problem === '' ? null : html`<p class="trouble" role="alert">${problem}</p>`}
    ${answer === undefined ? null : html`<${Explained} answer=${answer} />`}
  `
}

function Explained({ answer }: { readonly answer: Answer }): View {
  return html`<div aria-live="polite">
    <${Card} title=${t('outcome')}>
      <p><strong class="wrap">${answer.outcome}</strong></p>
      <p class="quiet">${answer.listener} → ${answer.virtualHost ?? answer.name ?? '–'}</p>
    <//>
    ${
      answer.steps.length === 0
        ? null
        : html`<${Card} title=${t('steps')}>
            <ol class="steps">
              ${answer.steps.map(
                ({ matched, origin, reason, rule }) =>
                  html`<li class=${matched ? 'matched' : ''}>
                    <strong>${rule}</strong>
                    <span class="quiet">${origin}</span>
                    ${matched ? html`<${Badge} tone="good" text=${t('matched')} />` : reason}
                  </li>`,
              )}
            </ol>
          <//>`
    }
    ${
      answer.filters.length === 0
        ? null
        : html`<${Card} title=${t('filters')}>
            <${Pairs} rows=${answer.filters.map(({ does, filter }) => [filter, does])} />
          <//>`
    }
    ${answer.destinations.map(
      (one) =>
        html`<${Card}
          title=${`${one.service}${one.subset ? ` (${one.subset})` : ''} · ${Math.round(one.share * 100)} %`}
        >
          ${one.note === undefined ? null : html`<p class="trouble">${one.note}</p>`}
          <${Table}
            label=${t('instances')}
            rows=${one.candidates}
            keyOf=${({ endpoint }: Candidate) => endpoint}
            columns=${[
              { title: t('instance'), cell: ({ endpoint }: Candidate) => html`<code>${endpoint}</code>` },
              {
                title: t('state'),
                cell: ({ reason, usable }: Candidate) =>
                  html`<${Badge} tone=${usable ? 'good' : 'bad'} text=${reason} />`,
              },
            ]}
          />
          <details>
            <summary>${t('policy')}</summary>
            <${Pairs}
              rows=${one.policy.map(({ origin, path, value }) => [path, html`${value} <span class="quiet">${origin}</span>`])}
            />
          </details>
        <//>`,
    )}
  </div>`
}
