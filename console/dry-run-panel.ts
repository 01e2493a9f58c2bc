/** What the rule in the editor would change: evaluated on the live traffic of all hosts, without effect. */
import type { DryRunDifference, DryRunView } from '../contracts/dry-run.ts'
import { type ApiProblem, ask } from './api.ts'
import { html, useEffect, useState, type View } from './html.ts'
import { Badge, Card, Table } from './parts.ts'
import { t } from './words.ts'

const askEveryMs = 1500

interface DryRun {
  readonly metadata: { readonly name: string }
  readonly status: DryRunView
}

/** `order`: the body of the request, made when it is asked for; undefined = the text is no rule that could be tried. */
export function DryRunPanel({
  namespace,
  order,
}: {
  readonly namespace: string
  readonly order: (() => string) | undefined
}): View {
  const [run, setRun] = useState<DryRun | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const path = `/apis/hostmesh.io/v1/namespaces/${encodeURIComponent(namespace)}/dryruns`
  const isRunning = run?.status.state === 'running'
  const asked = async (method: string, at: string, body?: string): Promise<void> => {
    try {
      setRun((await ask<DryRun>(method, at, body, body === undefined ? undefined : 'application/yaml')).body)
      setProblem('')
    } catch (error) {
      setProblem((error as ApiProblem).message)
    }
  }
  const one = `${path}/${run?.metadata.name ?? ''}`
  useEffect(() => {
    if (!isRunning) return undefined
    const timer = setInterval(() => void asked('GET', one), askEveryMs)
    return () => clearInterval(timer)
  }, [isRunning, one])
  return html`<${Card} title=${t('dryRun')}>
    <p class="bar">
      ${
        isRunning
          ? html`<button type="button" onClick=${() => void asked('DELETE', one)}>${t('dryRunStop')}</button>`
          : html`<button
              type="button"
              disabled=${order === undefined}
              onClick=${() => order !== undefined && void asked('POST', path, order())}
            >
              ${t('dryRunBegin')}
            </button>`
      }
      <span class="quiet">${t('dryRunHelp')}</span>
    </p>
    ${problem === '' ? null : html`<p class="trouble" role="alert">${problem}</p>`}
    ${run === undefined ? null : html`<${Found} run=${run} />`}
  <//>`
}

function Found({ run }: { readonly run: DryRun }): View {
  const { figures, hosts, state } = run.status
  const { differences, different, evaluated, failed, failure, undecided } = figures
  const counts = [`${evaluated} ${t('evaluated')}`, `${different} ${t('different')}`]
  if (undecided > 0) counts.push(`${undecided} ${t('undecided')}`)
  return html`
    <p role="status">
      <${Badge}
        tone=${state === 'running' ? 'warn' : state === 'over' ? 'good' : 'bad'}
        text=${state}
      />${` ${counts.join(', ')}`}
    </p>
    ${failed === 0 ? null : html`<p class="trouble">${failed}: ${failure}</p>`}
    ${hosts
      .filter(({ problem }) => problem !== '')
      .map(({ host, problem }) => html`<p key=${host} class="trouble">${host}: ${problem}</p>`)}
    <${Table}
      label=${t('dryRun')}
      empty=${t('noDifference')}
      rows=${differences}
      keyOf=${(row: DryRunDifference) => JSON.stringify([row.kind, row.host, row.route, row.now, row.then])}
      columns=${[
        { title: t('requests'), isNumber: true, cell: ({ requests }: DryRunDifference) => requests },
        { title: t('what'), cell: ({ kind }: DryRunDifference) => kind },
        { title: t('service'), cell: ({ host }: DryRunDifference) => html`<code>${host}</code>` },
        { title: t('route'), cell: ({ route }: DryRunDifference) => route || '–' },
        { title: t('now'), cell: ({ now }: DryRunDifference) => html`<div class="wrap">${now}</div>` },
        { title: t('then'), cell: ({ then }: DryRunDifference) => html`<div class="wrap">${then}</div>` },
      ]}
    />
  `
}
