/** The versions of a rule: who, when, by what; compared with the text in hand, or brought back by the center itself. */
import { ask, type ApiProblem } from './api.ts'
import { time } from './format.ts'
import { html, type View } from './html.ts'
import { Badge, Card } from './parts.ts'
import { apiPath, editedText, type History, type RulePlace } from './rule-objects.ts'
import { t } from './words.ts'

export function RuleHistory(props: {
  readonly place: RulePlace
  readonly history: History
  /** Text of the version that the editor compares with. */
  readonly compared: string | undefined
  readonly onCompare: (text: string | undefined) => void
  readonly onText: (text: string) => void
  readonly onReverted: () => void
  readonly onProblem: (problem: ApiProblem) => void
}): View {
  const { compared, history, onCompare, onProblem, onReverted, onText, place } = props
  const newest = history.items[0]?.resourceVersion
  // the center refuses it when the rule was changed since
  const revert = (order: object): void => {
    ask('POST', `${apiPath(place)}/revert`, JSON.stringify(order), 'application/json').then(onReverted, onProblem)
  }
  return html`<${Card} title=${t('history')}>
    <ul class="history">
      ${history.items.map(({ at, object, resourceVersion, user, verb }) => {
        const text = object === null ? undefined : editedText(object)
        const isNewest = resourceVersion === newest
        return html`<li key=${resourceVersion}>
          <span>${t('revision')} <strong>${resourceVersion}</strong></span>
          <span class="quiet">${at === null ? '' : time(Date.parse(at))}</span>
          <span>${user ?? ''}</span> <span class="quiet">${verb ?? ''}</span>
          ${text === undefined ? html`<${Badge} tone="warn" text=${t('deletedVersion')} />` : null}
          <span class="tools">
            ${
              text === undefined || isNewest
                ? null
                : html`<button
                      type="button"
                      aria-pressed=${compared === text}
                      onClick=${() => onCompare(compared === text ? undefined : text)}
                    >
                      ${t('compare')}
                    </button>
                    <button type="button" onClick=${() => onText(text)}>${t('takeBack')}</button>
                    <button
                      type="button"
                      onClick=${() => revert({ to: Number(resourceVersion), resourceVersion: newest })}
                    >
                      ${t('bringBack')}
                    </button>`
            }
            ${
              isNewest
                ? html`<button type="button" onClick=${() => revert({ change: Number(resourceVersion) })}>
                    ${t('revert')}
                  </button>`
                : null
            }
          </span>
        </li>`
      })}
    </ul>
  <//>`
}
