/** What several pages show in one way. */
import type { ApiProblem } from './api.ts'
import { time } from './format.ts'
import { html, useState, type View } from './html.ts'
import type { Watched } from './use-data.ts'
import { t } from './words.ts'

export type Tone = 'good' | 'warn' | 'bad' | 'plain'

/** Longer badges break into lines. */
const longText = 28

export function Badge({ tone, text }: { readonly tone: Tone; readonly text: string }): View {
  return html`<span class=${`badge ${tone}${text.length > longText ? ' long' : ''}`}>${text}</span>`
}

/** Says that the newest question had no answer, above what is shown all the same. */
export function Trouble({ problem, at }: { readonly problem: ApiProblem | undefined; readonly at: number }): View {
  if (problem === undefined || problem.status === 401) return null
  const what = problem.status === 0 ? t('noAnswer') : problem.message
  return html`<p class="trouble" role="alert">${what}${at > 0 ? ` ${t('shownIsOld')} ${time(at)}.` : ''}</p>`
}

/** Until the first question has an answer, or none. */
export function Waiting({ asked }: { readonly asked: Pick<Watched<unknown>, 'value' | 'problem'> }): View {
  const { problem, value } = asked
  return value === undefined && problem === undefined ? html`<p class="quiet" role="status">${t('loading')}</p>` : null
}

/** What was asked for, once it is there; above it why the newest question had no answer. */
export function Asked<T>({ asked, show }: { readonly asked: Watched<T>; readonly show: (value: T) => View }): View {
  const { at, problem, value } = asked
  return html`
    <${Trouble} problem=${problem} at=${at} />
    <${Waiting} asked=${asked} />
    ${value === undefined ? null : show(value)}
  `
}

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => unknown
  readonly isNumber?: boolean
}

const pageRows = 100

/** A table of at most 100 rows, and more when asked for. */
export function Table<Row>(props: {
  readonly label: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly keyOf: (row: Row) => string
  readonly empty?: string
}): View {
  const [shown, setShown] = useState(pageRows)
  const { columns, empty, keyOf, label, rows } = props
  if (rows.length === 0) return html`<p class="quiet">${empty ?? t('nothing')}</p>`
  return html`
    <div class="scroll" tabindex="0" role="region" aria-label=${label}>
      <table>
        <thead>
          <tr>
            ${columns.map(({ isNumber, title }) => html`<th scope="col" class=${isNumber ? 'number' : ''}>${title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.slice(0, shown).map(
            (row) =>
              html`<tr key=${keyOf(row)}>
                ${columns.map(({ cell, isNumber }) => html`<td class=${isNumber ? 'number' : ''}>${cell(row)}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${
      rows.length > shown
        ? html`<button type="button" class="more" onClick=${() => setShown(shown + pageRows)}>
            ${t('more')} (${rows.length - shown})
          </button>`
        : null
    }
  `
}

export function Search({ value, onInput }: { readonly value: string; readonly onInput: (text: string) => void }): View {
  return html`<input
    type="search"
    class="search"
    aria-label=${t('filter')}
    placeholder=${t('filter')}
    value=${value}
    onInput=${(event: { currentTarget: HTMLInputElement }) => onInput(event.currentTarget.value)}
  />`
}

/** Names, each with what is said of it. */
export function Pairs({ rows }: { readonly rows: readonly (readonly [name: string, value: unknown])[] }): View {
  return html`<dl class="pairs">
    ${rows.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd class="wrap">${value}</dd>`,
    )}
  </dl>`
}

export function Card({ title, children }: { readonly title: string; readonly children?: unknown }): View {
  return html`<section class="card">
    <h2>${title}</h2>
    ${children}
  </section>`
}

export function Figure({
  name,
  value,
  tone,
}: {
  readonly name: string
  readonly value: unknown
  readonly tone?: Tone
}): View {
  return html`<div class=${`figure ${tone ?? ''}`}>
    <span class="figure-name">${name}</span><strong>${value}</strong>
  </div>`
}
