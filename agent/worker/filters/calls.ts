/**
 * Questions of filters to services of the mesh. Filters know no wire: whoever implements this balances, dials and
 * speaks.
 */
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { Fields } from '../route/fields.ts'

/** Of a service that judges requests: content of its answer, at most. */
export const maxVerdictBytes = 65_536
/** A question has a time of its own; the request waits so much longer (ms) only for what never answers at all. */
export const spareMs = 1000

export interface Question {
  readonly service: ServiceKey
  /** Of its endpoints; undefined = any. */
  readonly port: number | undefined
  /** In HTTP/2, as gRPC wants it. */
  readonly isGrpc: boolean
  readonly method: string
  readonly authority: string
  /** Path, and a query where there is one. */
  readonly target: string
  /** Names in lower case; nothing that frames the content. */
  readonly fields: Fields
  readonly content: Buffer
  /** Of question and answer, ms. */
  readonly timeoutMs: number
  /** An answer with more content is none. */
  readonly maxAnswerBytes: number
}

export interface CallAnswer {
  readonly status: number
  readonly fields: Fields
  readonly content: Buffer
  readonly trailers: Fields
}

/** `timeout`, or why there was no answer. */
export type CallOutcome = CallAnswer | { readonly failure: string }

export interface Calls {
  /** `done` is called once, in a later turn, unless `cancel` was before. */
  ask(question: Question, done: (outcome: CallOutcome) => void): { cancel(): void }
}
