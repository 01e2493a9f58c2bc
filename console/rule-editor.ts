/**
 * One rule: its text, what the center says of it while it is written (the API's dry run, so nothing is judged here),
 * what would change, who it was before.
 */
import { ask, ApiProblem } from './api.ts'
import { DryRunPanel } from './dry-run-panel.ts'
import { html, useEffect, useMemo, useRef, useState, type View } from './html.ts'
import { lineDiff } from './line-diff.ts'
import { Badge, Card } from './parts.ts'
import { RuleHistory } from './rule-history.ts'
import {
  apiPath,
  dryRunOrder,
  editedText,
  placeIn,
  withRevision,
  type History,
  type RuleObject,
  type RulePlace,
} from './rule-objects.ts'
import type { RuleStatus } from '../contracts/rule-status.ts'
import { t } from './words.ts'

const pauseMs = 400

type Verdict =
  | { readonly kind: 'none' | 'checking' }
  | { readonly kind: 'valid'; readonly warnings: readonly string[] }
  | { readonly kind: 'invalid' | 'changed'; readonly problem: ApiProblem }

interface Loaded {
  readonly text: string
  /** undefined = it is not there yet. */
  readonly revision: string | undefined
}

export function RuleEditor(props: {
  readonly place: RulePlace
  readonly template: string | undefined
  readonly statuses: readonly RuleStatus[]
}): View {
  const { place, statuses, template } = props
  const [loaded, setLoaded] = useState<Loaded | undefined>(undefined)
  const [text, setText] = useState('')
  const [verdict, setVerdict] = useState<Verdict>({ kind: 'none' })
  const [notice, setNotice] = useState('')
  const [history, setHistory] = useState<History | undefined>(undefined)
  const [compared, setCompared] = useState<string | undefined>(undefined)
  const [isAsked, setIsAsked] = useState(false)
  const checks = useRef(0)

  const load = async (): Promise<void> => {
    if (template !== undefined) {
      setLoaded({ text: template, revision: undefined })
      setText(template)
      return
    }
    try {
      const { body } = await ask<RuleObject>('GET', apiPath(place))
      const now = editedText(body)
      setLoaded({ text: now, revision: body.metadata.resourceVersion })
      setText(now)
      setVerdict({ kind: 'none' })
      setCompared(undefined)
      setHistory((await ask<History>('GET', `${apiPath(place)}/history`)).body)
    } catch (problem) {
      setNotice((problem as ApiProblem).message)
    }
  }
  useEffect(() => void load(), [])

  const write = async (isTrial: boolean): Promise<readonly string[]> => {
    const isNew = loaded?.revision === undefined
    const { namespace = place.namespace } = isNew ? placeIn(text) : place
    const path = apiPath({ ...place, namespace, name: isNew ? undefined : place.name })
    const body = isNew ? text : withRevision(text, loaded.revision!)
    if (body === undefined)
      throw new ApiProblem(0, t('metadataLine'), [{ field: 'metadata', message: t('metadataLine') }])
    const query = `fieldManager=console${isTrial ? '&dryRun=All' : ''}`
    return (await ask(isNew ? 'POST' : 'PUT', `${path}?${query}`, body, 'application/yaml')).warnings
  }

  useEffect(() => {
    if (loaded === undefined || (text === loaded.text && template === undefined)) return undefined
    const mine = ++checks.current
    setVerdict({ kind: 'checking' })
    const timer = setTimeout(() => {
      write(true).then(
        (warnings) => mine === checks.current && setVerdict({ kind: 'valid', warnings }),
        (problem: ApiProblem) => {
          if (mine === checks.current) setVerdict({ kind: isChangedSince(problem) ? 'changed' : 'invalid', problem })
        },
      )
    }, pauseMs)
    return () => clearTimeout(timer)
  }, [text, loaded])

  const save = async (): Promise<void> => {
    try {
      const warnings = await write(false)
      setNotice([t('saved'), ...warnings].join(' '))
      const { name, namespace } = placeIn(text)
      if (template !== undefined)
        location.hash = `#/rules/edit/${[place.kind.kind, namespace ?? place.namespace, name ?? ''].map(encodeURIComponent).join('/')}`
      else await load()
    } catch (error) {
      const problem = error as ApiProblem
      setVerdict({ kind: isChangedSince(problem) ? 'changed' : 'invalid', problem })
    }
  }
  const remove = async (): Promise<void> => {
    try {
      await ask(
        'DELETE',
        apiPath(place),
        JSON.stringify({ preconditions: { resourceVersion: loaded?.revision } }),
        'application/json',
      )
      location.hash = '#/rules'
    } catch (error) {
      setIsAsked(false)
      setNotice((error as ApiProblem).message)
    }
  }

  if (loaded === undefined) return html`<p class="quiet" role="status">${notice || t('loading')}</p>`
  const isDirty = template !== undefined || text !== loaded.text
  return html`
    ${statuses.flatMap(({ problems, state }) =>
      problems.map(({ message, path }) => html`<p class="trouble">${state}: <code>${path}</code> ${message}</p>`),
    )}
    <div class="halves wide-left">
      <${Card} title=${t('editor')}>
        <${TextArea} text=${text} onText=${setText} />
        <${VerdictView} verdict=${verdict} onReload=${() => void load()} />
        <p class="bar">
          <button
            type="button"
            class="primary"
            disabled=${!isDirty || verdict.kind === 'checking'}
            onClick=${() => void save()}
          >
            ${t('save')}
          </button>
          ${template !== undefined ? null : html`<button type="button" onClick=${() => setIsAsked(true)}>${t('remove')}</button>`}
          <span class="quiet" role="status">${notice}</span>
        </p>
        ${
          isAsked
            ? html`<p class="bar" role="alertdialog" aria-label=${t('remove')}>
                <strong>${t('reallyRemove')}</strong>
                <button type="button" class="danger" onClick=${() => void remove()}>${t('remove')}</button>
                <button type="button" onClick=${() => setIsAsked(false)}>${t('cancel')}</button>
              </p>`
            : null
        }
      <//>
      <${Card} title=${t('changes')}>
        <${Diff} before=${compared ?? (template === undefined ? loaded.text : '')} after=${text} />
      <//>
    </div>
    <${DryRunPanel}
      namespace=${(template === undefined ? undefined : placeIn(text).namespace) ?? place.namespace}
      order=${verdict.kind === 'valid' ? () => dryRunOrder(text) : undefined}
    />
    ${
      history === undefined
        ? null
        : html`<${RuleHistory}
            place=${place}
            history=${history}
            compared=${compared}
            onCompare=${setCompared}
            onText=${setText}
            onReverted=${() => void load()}
            onProblem=${(problem: ApiProblem) => setVerdict({ kind: 'invalid', problem })}
          />`
    }
  `
}

function isChangedSince({ status }: ApiProblem): boolean {
  return status === 409
}

function VerdictView({ onReload, verdict }: { readonly verdict: Verdict; readonly onReload: () => void }): View {
  switch (verdict.kind) {
    case 'none':
      return html`<p class="quiet verdict"></p>`
    case 'checking':
      return html`<p class="quiet verdict" role="status">${t('checking')}</p>`
    case 'valid':
      return html`<div class="verdict" role="status">
        <${Badge} tone="good" text=${t('valid')} />
        ${verdict.warnings.map((warning) => html`<p class="trouble">${warning}</p>`)}
      </div>`
    case 'changed':
      return html`<div class="verdict" role="alert">
        <p class="trouble">${t('changedSince')} ${verdict.problem.message}</p>
        <button type="button" onClick=${onReload}>${t('reload')}</button>
      </div>`
    case 'invalid': {
      const { causes, message } = verdict.problem
      return html`<div class="verdict" role="alert">
        <${Badge} tone="bad" text=${t('invalid')} />
        ${
          causes.length === 0
            ? html`<p class="trouble">${message}</p>`
            : causes.map(({ field, message: why }) => html`<p class="trouble"><code>${field}</code> ${why}</p>`)
        }
      </div>`
    }
  }
}

function TextArea({ onText, text }: { readonly text: string; readonly onText: (text: string) => void }): View {
  const lines = text.split('\n').length
  const gutter = useRef<HTMLPreElement>(null)
  return html`<div class="code">
    <pre class="gutter" aria-hidden="true" ref=${gutter}>
${Array.from({ length: lines }, (_none, at) => at + 1).join('\n')}</pre>
    <textarea
      aria-label=${t('editor')}
      spellcheck=${false}
      wrap="off"
      rows=${Math.min(30, Math.max(14, lines + 1))}
      value=${text}
      onInput=${(event: { currentTarget: HTMLTextAreaElement }) => onText(event.currentTarget.value)}
      onScroll=${(event: { currentTarget: HTMLTextAreaElement }) => {
        if (gutter.current !== null) gutter.current.scrollTop = event.currentTarget.scrollTop
      }}
    ></textarea>
  </div>`
}

function Diff({ after, before }: { readonly before: string; readonly after: string }): View {
  const lines = useMemo(() => lineDiff(before, after), [before, after])
  if (before === after) return html`<p class="quiet">${t('noChanges')}</p>`
  const words = { '+': 'added', '-': 'removed', ' ': '' }
  return html`<div class="diff" tabindex="0" role="region" aria-label=${t('changes')}>
    ${lines.map(({ mark, text }) => html`<div class=${words[mark]}>${mark} ${text}</div>`)}
  </div>`
}
