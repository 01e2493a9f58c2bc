/** Every rule with its state; those of this center's store can be written here. */
import { html, useState, type View } from './html.ts'
import { Badge, Search, Table, Trouble, Waiting, type Tone } from './parts.ts'
import { RuleEditor } from './rule-editor.ts'
import { kindOf, templateOf, type RulePlace } from './rule-objects.ts'
import type { RuleStatus } from '../contracts/rule-status.ts'
import type { PageProps } from './shapes.ts'
import { useData } from './use-data.ts'
import { t } from './words.ts'

const tones: Readonly<Record<RuleStatus['state'], Tone>> = {
  applied: 'good',
  conflict: 'warn',
  overridden: 'plain',
  rejected: 'bad',
}

export function Rules({ about, rest }: PageProps): View {
  const [search, setSearch] = useState('')
  const rules = useData<{ rules: readonly RuleStatus[] }>('rules', 3000)
  const [verb, kind, namespace, name] = rest
  const isWritable = about.kinds.length > 0
  if (isWritable && kind !== undefined && kindOf(about, kind) !== undefined) {
    const place: RulePlace = { kind: kindOf(about, kind)!, namespace: namespace ?? 'default', name }
    const back = html`<p class="crumbs">
      <a href="#/rules">${t('rules')}</a> / <strong>${kind} ${name ?? ''}</strong>
    </p>`
    if (verb === 'new')
      return html`${back}<${RuleEditor}
          key=${`new ${kind}`}
          place=${{ ...place, name: undefined }}
          template=${templateOf(place.kind)}
          statuses=${[]}
        />`
    const statuses = (rules.value?.rules ?? []).filter(
      (one) => one.kind === kind && one.name === name && one.namespace === namespace && one.source === 'center',
    )
    return html`${back}<${RuleEditor}
        key=${rest.join('/')}
        place=${place}
        template=${undefined}
        statuses=${statuses}
      />`
  }
  const wanted = search.toLowerCase()
  const shown = (rules.value?.rules ?? []).filter(({ kind: one, name: called, namespace: at, source, state }) =>
    `${one} ${at}/${called} ${source} ${state}`.toLowerCase().includes(wanted),
  )
  return html`
    <${Trouble} problem=${rules.problem} at=${rules.at} />
    <div class="bar">
      <${Search} value=${search} onInput=${setSearch} />
      ${
        isWritable
          ? html`<select
              aria-label=${t('newRule')}
              value=""
              onChange=${(event: { currentTarget: HTMLSelectElement }) => {
                location.hash = `#/rules/new/${event.currentTarget.value}`
              }}
            >
              <option value="">${t('newRule')} …</option>
              ${about.kinds.map(({ kind: one }) => html`<option key=${one} value=${one}>${one}</option>`)}
            </select>`
          : null
      }
    </div>
    <${Waiting} asked=${rules} />
    ${
      rules.value === undefined
        ? null
        : html`<${Table}
            label=${t('rules')}
            empty=${search === '' ? t('nothing') : t('nothingFound')}
            rows=${shown}
            keyOf=${(one: RuleStatus) => `${one.source} ${one.document} ${one.line} ${one.kind} ${one.namespace}/${one.name}`}
            columns=${[
              { title: t('kind'), cell: (one: RuleStatus) => one.kind },
              {
                title: t('name'),
                cell: (one: RuleStatus) =>
                  isWritable && one.source === 'center'
                    ? html`<a
                        href=${`#/rules/edit/${[one.kind, one.namespace, one.name].map(encodeURIComponent).join('/')}`}
                        >${one.namespace}/${one.name}</a
                      >`
                    : `${one.namespace}/${one.name}`,
              },
              {
                title: t('source'),
                cell: ({ document, line, source }: RuleStatus) =>
                  html`<span title=${`${document}:${line}`}>${source}</span>`,
              },
              {
                title: t('state'),
                cell: ({ state }: RuleStatus) => html`<${Badge} tone=${tones[state]} text=${state} />`,
              },
              {
                title: t('problems'),
                cell: ({ problems }: RuleStatus) =>
                  problems.length === 0
                    ? html`<span class="quiet">–</span>`
                    : problems.map(
                        ({ line, message, path }) =>
                          html`<div class="wrap">${line}: <code>${path}</code> ${message}</div>`,
                      ),
              },
            ]}
          />`
    }
  `
}
