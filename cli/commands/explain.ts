/** `hostmesh explain`: asks the running agent what it would do with a request, and why. */
import type { ExplainAnswer } from '../../contracts/control-link.ts'
import { MeshError } from '../../contracts/errors.ts'
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

export interface ExplainOptions {
  readonly method: string
  readonly listener?: string
  readonly header: readonly string[]
  readonly source?: string
  readonly principal?: string
  readonly address?: string
}

/** @param url `http://orders/path?query`, `orders/path` or, with a listener, just `/path`. */
export async function explain(context: CommandContext, url: string, options: ExplainOptions): Promise<ExitCode> {
  const { host, path } = splitUrl(url)
  const query = new URLSearchParams({ method: options.method, host, path, format: 'json' })
  if (options.listener !== undefined) query.set('listener', options.listener)
  if (options.source !== undefined) query.set('source', options.source)
  if (options.principal !== undefined) query.set('principal', options.principal)
  if (options.address !== undefined) query.set('address', options.address)
  for (const header of options.header) query.append('header', header)
  const answer = (await adminJson(context.admin, `/explain?${query.toString()}`)) as ExplainAnswer
  if (context.output.isJson) context.output.json(answer)
  else print(context, answer)
  return answer.steps.some((step) => step.matched) ? exitCodes.ok : exitCodes.failed
}

export interface ExplainRpcOptions {
  readonly listener?: string
  readonly attribute: readonly string[]
  readonly source?: string
}

/** A request in private RPC, as rules see it: a POST to `/SERVICE/METHOD` with its attributes as fields. */
export function explainRpc(
  context: CommandContext,
  service: string,
  method: string,
  options: ExplainRpcOptions,
): Promise<ExitCode> {
  const attributes = options.attribute.map((one) => {
    const equals = one.indexOf('=')
    if (equals < 1) throw new MeshError('E_ADMIN_REQUEST', `${one}: not an attribute; give KEY=VALUE`)
    return `${one.slice(0, equals)}: ${one.slice(equals + 1)}`
  })
  const { listener, source } = options
  return explain(context, `/${service}/${method}`, {
    method: 'POST',
    header: [`x-mesh-service: ${service}`, ...attributes],
    ...(listener === undefined ? {} : { listener }),
    ...(source === undefined ? {} : { source }),
  })
}

function splitUrl(url: string): { host: string; path: string } {
  if (url.startsWith('/')) return { host: '', path: url }
  const match = /^(?:http:\/\/)?([^/?#]+)([^#]*)$/.exec(url)
  if (match === null) {
    throw new MeshError('E_ADMIN_REQUEST', `${url}: not a request; give host and path, for example orders/v1/items`)
  }
  const path = match[2] ?? ''
  return { host: match[1] ?? '', path: path.startsWith('/') ? path : `/${path}` }
}

function print({ output }: CommandContext, answer: ExplainAnswer): void {
  output.line(`listener      ${answer.listener}`)
  output.line(`name          ${answer.name ?? '-'}`)
  output.line(`virtual host  ${answer.virtualHost ?? '-'}`)
  for (const step of answer.steps) {
    const mark = step.matched ? output.style('green', 'match') : output.style('dim', 'no   ')
    output.line(`  ${mark}  ${step.rule}  (${step.origin})${step.reason === '' ? '' : `: ${step.reason}`}`)
  }
  output.line(`outcome       ${output.style('bold', answer.outcome)}`)
  for (const { does, filter } of answer.filters) output.line(`  filter  ${filter}: ${does}`)
  for (const destination of answer.destinations) {
    const subset = destination.subset === undefined ? '' : ` subset ${destination.subset}`
    output.line()
    output.line(`${destination.service}${subset}  ${Math.round(destination.share * 100)} %`)
    if (destination.note !== undefined) output.line(`note: ${destination.note}`)
    output.table(
      ['endpoint', 'usable', 'why'],
      destination.candidates.map((one) => [one.endpoint, one.usable ? 'yes' : 'no', one.reason]),
    )
    output.table(
      ['policy', 'value', 'from'],
      destination.policy.map((one) => [one.path, one.value, one.origin]),
    )
  }
}
