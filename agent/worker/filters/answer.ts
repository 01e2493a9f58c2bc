/** Answers made by us, as plain values, and how filters make theirs. */
import type { ErrorCode } from '../../../contracts/errors.ts'
import type { Fields, HeaderEdits } from '../route/fields.ts'

/** An answer made by us. */
export interface Answer {
  readonly kind: 'answer'
  readonly status: number
  /** undefined: this is an answer that a rule asked for (redirect, direct response, preflight), not an error. */
  readonly code: ErrorCode | undefined
  /** Envoy's response flag, `-` for none. */
  readonly flag: string
  readonly fields: Fields
  /** Announced but not sent to HEAD; never sent with 204 and 304. */
  readonly body: Buffer
  /** Why, for the access log (Envoy's RESPONSE_CODE_DETAILS); absent = the code says it. */
  readonly details?: string
}

/** The head of a reply, an endpoint's or ours, for the call in which it is told. */
export interface ReplyHead {
  readonly status: number
  /** First value of a field; `name` in lower case. */
  header(name: string): string | undefined
  eachField(visit: (name: string, value: string) => void): void
  readonly hasContent: boolean
  /** As announced; -1 = not said. */
  readonly contentLength: number
}

/** Content of a request, as far as it was asked for. */
export interface TakenContent {
  readonly bytes: Buffer
  /** There is no more. */
  readonly isWhole: boolean
}

/** What a filter makes of content, piece by piece. Both throw where nothing more of it may be passed on. */
export interface ContentChange {
  /** What goes on in its place. `bytes` are good until it returns. */
  take(bytes: Buffer): Buffer
  /** The content is whole: what is still to come. */
  end(): Buffer
}

const noBody = Buffer.alloc(0)

/** Every answer without other fields shares these, so that a codec writes them once. */
export const noFields: Fields = []
/** Of an answer whose body is a line for people. */
export const plainText: Fields = [['content-type', 'text/plain']]
/** Of what is refused because there is too much of it: the same time for all, since it is over in a second or so. */
export const soonAgain: Fields = [...plainText, ['retry-after', '1']]

/** An answer that refuses, with a line of text for whoever reads it. `fields` other than `plainText` begin with it. */
export function refusal(
  status: number,
  code: ErrorCode,
  flag: string,
  text: string,
  fields: Fields = plainText,
): Answer {
  return { kind: 'answer', status, code, flag, fields, body: Buffer.from(`${text}\n`, 'utf8') }
}

/** Also what a filter or a rule answers by itself with the status of an error; a redirect or a 200 refuses nobody. */
export function isRefusal({ code, status }: Answer): boolean {
  return code !== undefined || status >= 400
}

/** To a request with more content than a filter allows. */
export function contentTooLong(most: number): Answer {
  const code = 'E_HTTP_CONTENT_TOO_LARGE'
  return refusal(413, code, 'DPE', `${code}  the content is longer than ${most} bytes`)
}

/** An answer without a body that a rule asked for. */
export function emptyAnswer(status: number, fields: Fields): Answer {
  return { kind: 'answer', status, code: undefined, flag: '-', fields, body: noBody }
}

/** An answer as filters read the heads of replies. */
export function headOf({ body, fields, status }: Answer): ReplyHead {
  return {
    status,
    // it is whole already, and changed by nobody
    hasContent: false,
    contentLength: body.length,
    header: (name) => fields.find(([one]) => one === name)?.[1],
    eachField(visit) {
      for (const [name, value] of fields) visit(name, value)
    },
  }
}

export function editedFields(fields: Fields, edits: HeaderEdits | null): Fields {
  if (edits === null) return fields
  return [...fields.filter(([name]) => !edits.drop.has(name)), ...edits.fields]
}
