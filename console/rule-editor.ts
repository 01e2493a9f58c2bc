/**
 * One rule: its text, what the center says of it while it is written (the API's dry run, so nothing is judged here),
 * what would change, who it was before.
 */
import { ask, ApiProblem } from './api.ts'
import { draftOf, dropDraft, keepDraft } from './drafts.ts'
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
  /** Own text that another one took the place of. */
  const [aside, setAside] = useState<string | undefined>(undefined)
  const checks = useRef(0)
  const newest = useRef('')
  const isGone = useRef(false)
  const rule = [place.kind.kind, place.namespace, place.name ?? ''].join('/')

  const show = (next: string, base: Loaded): void => {
    newest.current = next
    keepDraft(rule, { text: next, base })
    setText(next)
  }
  const loadHistory = async (): Promise<void> =>
    setHistory((await ask<History>('GET', `${apiPath(place)}/history`)).body)
  /** @param sent what was saved: a text that was written meanwhile stays; absent = what is stored is shown. */
  const load = async (sent?: string): Promise<void> => {
    try {
      const { body } = await ask<RuleObject>('GET', apiPath(place))
      // the rule may be open again elsewhere, and written on
      if (isGone.current && sent === undefined) return
      const now: Loaded = { text: editedText(body), revision: body.metadata.resourceVersion }
      const isWrittenOn = sent !== undefined && newest.current !== sent
      if (sent === undefined && loaded !== undefined && newest.current !== loaded.text) setAside(newest.current)
      setLoaded(now)
      show(isWrittenOn ? newest.current : now.text, now)
      setVerdict({ kind: 'none' })
      setCompared(undefined)
      await loadHistory()
    } catch (problem) {
      setNotice((problem as ApiProblem).message)
    }
  }
  /** What was left unsaved goes on from what it was made from, so that what others did since is noticed. */
  const begin = async (): Promise<void> => {
    const draft = draftOf(rule)
    if (template === undefined && draft === undefined) return load()
    const { base, text: written } = draft ?? { base: { text: template!, revision: undefined }, text: template! }
    setLoaded(base)
    show(written, base)
    if (draft !== undefined) setNotice(t('draftShown'))
    if (template !== undefined) return
    await loadHistory().catch((problem: ApiProblem) => setNotice(`${t('draftShown')} ${problem.message}`))
  }
  useEffect(() => {
    void begin()
    return () => {
      isGone.current = true
    }
  }, [])

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
    if (loaded === undefined) return undefined
    const mine = ++checks.current
    // a verdict on a text that is gone
    if (text === loaded.text && template === undefined) {
      setVerdict({ kind: 'none' })
      return undefined
    }
    setVerdict({ kind: 'checking' })
    const timer = setTimeout(() => {
      write(true).then(
        (warnings) => mine === checks.current && setVerdict({ kind: 'valid', warnings }),
        (problem: ApiProblem) => mine === checks.current && setVerdict(verdictOf(problem)),
      )
    }, pauseMs)
    return () => clearTimeout(timer)
  }, [text, loaded])

  const save = async (): Promise<void> => {
    const sent = text
    try {
      const warnings = await write(false)
      setNotice([t('saved'), ...warnings].join(' '))
      setAside(undefined)
      if (template === undefined) return await load(sent)
      const { name, namespace } = placeIn(sent)
      const made = [place.kind.kind, namespace ?? place.namespace, name ?? '']
      const writtenOn = newest.current
      dropDraft(rule)
      if (writtenOn !== sent) await keepFor(made.join('/'), { ...place, namespace: made[1]!, name }, writtenOn)
      location.hash = `#/rules/edit/${made.map(encodeURIComponent).join('/')}`
    } catch (error) {
      setVerdict(verdictOf(error as ApiProblem))
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
      dropDraft(rule)
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
        <${TextArea} text=${text} onText=${(next: string) => show(next, loaded)} />
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
          ${
            text === loaded.text
              ? null
              : html`<button
                  type="button"
                  onClick=${() => {
                    setAside(text)
                    show(loaded.text, loaded)
                    setNotice('')
                  }}
                >
                  ${t('discard')}
                </button>`
          }
          ${
            aside === undefined || aside === text
              ? null
              : html`<button
                  type="button"
                  onClick=${() => {
                    show(aside, loaded)
                    setAside(undefined)
                  }}
                >
                  ${t('ownTextAgain')}
                </button>`
          }
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
            onText=${(next: string) => {
              if (text !== loaded.text) setAside(text)
              show(next, loaded)
            }}
            onReverted=${() => void load()}
            onProblem=${(problem: ApiProblem) => setVerdict(verdictOf(problem))}
          />`
    }
  `
}

/** What was written on while a new rule was being made is a draft of that rule. */
async function keepFor(rule: string, place: RulePlace, text: string): Promise<void> {
  const { body } = await ask<RuleObject>('GET', apiPath(place))
  keepDraft(rule, { text, base: { text: editedText(body), revision: body.metadata.resourceVersion } })
}

function verdictOf(problem: ApiProblem): Verdict {
  return { kind: problem.status === 409 ? 'changed' : 'invalid', problem }
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
