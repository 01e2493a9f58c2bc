import type { FilterAnswer } from '../../../../contracts/user-filter.ts'
import type { Answer } from '../answer.ts'
import { refusal } from '../answer.ts'
import { fieldName, fieldValue } from './field-rules.ts'

const maxBody = 1_048_576
const maxFields = 100

/** What a filter of a user says, as an answer of ours; null = the request goes on. Throws what is wrong with it. */
export function answerOf(said: unknown, filter: string): Answer | null {
  if (said === undefined || said === null) return null
  if (typeof said !== 'object')
    throw new TypeError(`it says ${typeof said}, allowed nothing or { status, headers, body }`)
  const { body = '', headers = {}, status } = said as Partial<FilterAnswer>
  if (!Number.isInteger(status) || status! < 200 || status! > 599)
    throw new TypeError(`it answers with status ${String(status)}, allowed 200 to 599`)
  const entries = Object.entries(headers)
  if (entries.length > maxFields) throw new TypeError(`it answers with ${entries.length} fields, allowed ${maxFields}`)
  const fields = entries.map(([given, value]) => {
    const name = fieldName(given)
    return [name, fieldValue(name, value)] as const
  })
  return {
    kind: 'answer',
    status: status!,
    code: undefined,
    flag: '-',
    fields,
    body: bytesOf(body),
    details: `filter ${filter}`,
  }
}

function bytesOf(body: unknown): Buffer {
  if (typeof body !== 'string' && !(body instanceof Uint8Array))
    throw new TypeError('the body of its answer is neither text nor bytes')
  const bytes = Buffer.from(body as string)
  if (bytes.length > maxBody) throw new TypeError(`it answers with ${bytes.length} bytes, allowed ${maxBody}`)
  return bytes
}

/** To a caller whose request may not go on without the filter. */
export function withoutFilter(filter: string): Answer {
  return refusal(503, 'E_FILTER_FAILED', '-', `E_FILTER_FAILED  filter ${filter} could not be run`)
}
