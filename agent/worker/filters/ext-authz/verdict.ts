/** What an external authorizer says, before it is believed. */
import type { FilterContext } from '../filter.ts'
import { plainText } from '../answer.ts'
import type { Answer } from '../answer.ts'
import type { Fields, HeaderEdits } from '../../route/fields.ts'

export interface SaidField {
  readonly name: string
  readonly value: string
  /** Beside what is there, in its place, or only where there is nothing. */
  readonly how: 'append' | 'set' | 'if-absent' | 'if-present'
}

export type Verdict =
  | {
      readonly kind: 'allowed'
      readonly fields: readonly SaidField[]
      readonly remove: readonly string[]
      /** For the caller, with the reply. */
      readonly reply: readonly SaidField[]
    }
  | { readonly kind: 'denied'; readonly status: number; readonly fields: readonly SaidField[]; readonly body: Buffer }
  /** It gave no verdict. */
  | { readonly kind: 'failed'; readonly why: string }

/** Of one verdict, for either direction. */
const maxFields = 100
/** Frame the message, belong to one connection, or say where a request goes: not for anybody outside to change. */
const ours =
  /^(?::.*|host|connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|content-length|upgrade|expect|x-mesh-.*)$/
const nameWord = /^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$/
const valueWord = /^(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?$/

/** What of it may not be done; undefined = nothing. */
export function verdictProblem(verdict: Exclude<Verdict, { kind: 'failed' }>): string | undefined {
  const reply = verdict.kind === 'allowed' ? verdict.reply : []
  const fields = [...verdict.fields, ...reply]
  const names = [...fields.map(({ name }) => name), ...(verdict.kind === 'allowed' ? verdict.remove : [])]
  if (names.length === 0) return undefined
  if (names.length > maxFields) return `it changes ${names.length} fields, allowed ${maxFields}`
  for (const name of names) {
    const shown = JSON.stringify(name.slice(0, 60))
    if (!nameWord.test(name)) return `${shown} is no name of a field`
    if (ours.test(name)) return `field ${shown} is not for a service to change`
  }
  if (reply.some(({ how }) => how !== 'append' && how !== 'set'))
    return 'it makes a field of the reply depend on what the reply has, which is not done here'
  for (const { name, value } of fields)
    if (value.length > 16_384 || !valueWord.test(value)) return `the value of field ${name} cannot stand in a head`
  return undefined
}

/** What it changes of the request and of the reply. */
export function applyEdits(allowed: Extract<Verdict, { kind: 'allowed' }>, context: FilterContext): void {
  const edits = requestEdits(allowed, context)
  if (edits !== null) context.editRequest(edits)
  const reply = replyEdits(allowed)
  if (reply !== null) context.editReply(reply)
}

/** null = nothing changes. */
function requestEdits(
  { fields, remove }: Extract<Verdict, { kind: 'allowed' }>,
  context: FilterContext,
): HeaderEdits | null {
  if (fields.length === 0 && remove.length === 0) return null
  const present = new Set<string>()
  context.eachField((name) => present.add(name))
  const drop = new Set(remove)
  const added: [string, string][] = []
  for (const { how, name, value } of fields) {
    if (how === 'if-absent' && present.has(name)) continue
    if (how === 'if-present' && !present.has(name)) continue
    if (how === 'set' || how === 'if-present') drop.add(name)
    added.push([name, value])
  }
  return added.length === 0 && drop.size === 0 ? null : { fields: added, drop }
}

/** null = nothing changes. */
function replyEdits({ reply }: Extract<Verdict, { kind: 'allowed' }>): HeaderEdits | null {
  if (reply.length === 0) return null
  const drop = new Set(reply.filter(({ how }) => how === 'set').map(({ name }) => name))
  return { fields: reply.map(({ name, value }) => [name, value] as const), drop }
}

/** Envoy's flag of a request that an external service refused. */
const flag = 'UAEX'

export function denial({ body, fields, status }: Extract<Verdict, { kind: 'denied' }>): Answer {
  const said: Fields = fields.map(({ name, value }) => [name, value] as const)
  const hasType = said.some(([name]) => name === 'content-type')
  return {
    kind: 'answer',
    status,
    code: 'E_AUTHORIZATION_DENIED',
    flag,
    fields: hasType || body.length === 0 ? said : [...plainText, ...said],
    body,
    details: 'ext_authz_denied',
  }
}

export function unjudged(status: number): Answer {
  return {
    kind: 'answer',
    status,
    code: 'E_AUTHORIZATION_UNAVAILABLE',
    flag,
    fields: plainText,
    body: Buffer.from('E_AUTHORIZATION_UNAVAILABLE  the request could not be judged\n', 'latin1'),
    details: 'ext_authz_error',
  }
}
