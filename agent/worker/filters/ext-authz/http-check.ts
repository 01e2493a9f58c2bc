/** External authorization over plain HTTP: the head of the request, asked again of the authorizer. */
import type { HttpAuthorizerSpec } from '../../../../contracts/external-authorizer-spec.ts'
import type { Fields } from '../../route/fields.ts'
import { textSet } from '../authorization/text-set.ts'
import type { TextSet } from '../authorization/text-set.ts'
import type { CallAnswer } from '../calls.ts'
import { partialField } from './asked.ts'
import type { Asked } from './asked.ts'
import type { SaidField, Verdict } from './verdict.ts'

/** Told without being asked for, as Envoy does. */
const always = ['authorization']
/** And about content, where that is told. */
const aboutContent = ['content-type', partialField]
/** Told to a caller that is denied, besides what is named. */
const alwaysOnDeny = ['www-authenticate', 'location', 'content-type', 'set-cookie']
/** Of the connection or of the content, which is not told. */
const never =
  /^(?:content-length|transfer-encoding|connection|upgrade|te|trailer|expect|keep-alive|proxy-.*|x-mesh-.*)$/
/** Of its own answer, not for the caller; the date is the agent's. */
const notForCallers =
  /^(?:content-length|transfer-encoding|connection|date|server|keep-alive|trailer|upgrade|x-mesh-.*)$/

const nothing: readonly SaidField[] = []

function setOf(names: readonly string[]): TextSet | null {
  return names.length === 0 ? null : textSet(names, true)
}

/** What never changes of its questions and answers, made ready once. */
export class HttpCheck {
  readonly pathPrefix: string
  /** Whether a field may be of those that it is told. */
  readonly isTold: (name: string) => boolean
  private readonly told: TextSet
  private readonly more: Fields
  private readonly replaced: ReadonlySet<string>
  /** null: nothing. */
  private readonly onAllow: TextSet | null
  private readonly onDeny: TextSet
  private readonly withReply: TextSet | null

  constructor(spec: HttpAuthorizerSpec) {
    const { downstreamOnAllow, downstreamOnDeny, moreFields, pathPrefix, requestFields, upstreamOnAllow } = spec
    this.pathPrefix = pathPrefix
    this.withReply = setOf(downstreamOnAllow ?? [])
    const told = textSet([...always, ...requestFields], true)
    this.told = told
    this.isTold = (name) => told.has(name) || aboutContent.includes(name)
    this.more = Object.entries(moreFields).map(([name, value]) => [name.toLowerCase(), value])
    this.replaced = new Set(this.more.map(([name]) => name))
    this.onAllow = setOf(upstreamOnAllow)
    this.onDeny = textSet(downstreamOnDeny.length === 0 ? ['*'] : [...downstreamOnDeny, ...alwaysOnDeny], true)
  }

  fieldsOf({ content, fields }: Asked): Fields {
    const { more, replaced, told } = this
    const passed = [...fields].filter(([name]) => told.has(name) && !replaced.has(name) && !never.test(name))
    const names = content === undefined ? [] : aboutContent.filter((name) => !told.has(name) && !replaced.has(name))
    const about = names.flatMap((name) => (fields.has(name) ? [[name, fields.get(name)!] as const] : []))
    return [...passed, ...about, ...more]
  }

  /** What it came to: 200 allows, 5xx is no verdict, everything else denies. */
  verdictOf({ content, fields, status }: CallAnswer): Verdict {
    if (status >= 500) return { kind: 'failed', why: `status ${status}` }
    const said = (wanted: TextSet | null, how: SaidField['how']): readonly SaidField[] =>
      wanted === null
        ? nothing
        : fields
            .map(([name, value]) => ({ name: name.toLowerCase(), value, how }))
            .filter(({ name }) => wanted.has(name) && !notForCallers.test(name))
    return status === 200
      ? { kind: 'allowed', fields: said(this.onAllow, 'set'), remove: [], reply: said(this.withReply, 'append') }
      : { kind: 'denied', status, fields: said(this.onDeny, 'set'), body: content }
  }
}
