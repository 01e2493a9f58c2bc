import type { Shape } from '../listen/shape.ts'
import type { Fields } from '../route/fields.ts'
import type { VerifiedToken } from '../route/verified-token.ts'

/**
 * An exchange in flight as plain data: what its other half in the next process needs to go on beside the streams at
 * both its ends, whose state is their codec's. It has one attempt, which has a stream and may have its reply. Times are
 * relative, ms: clocks of two processes have nothing in common.
 */
export interface ExchangeState {
  /** Key of the destination, and the endpoint's id in it. */
  readonly cluster: string
  readonly endpoint: string
  readonly agoMs: number
  /** Of filters. */
  readonly waitedMs: number
  /** Until its deadline; -1 = it has none. */
  readonly leftMs: number
  /** What of the request came, and base64 of all of it while it can be sent again. */
  readonly body: {
    readonly bytes: number
    readonly isDone: boolean
    readonly trailers: Fields | null
    readonly kept: string | null
  }
  readonly reply: {
    readonly status: number
    readonly flag: string
    readonly bytes: number
    readonly headMs: number
    /** Fields of its head for the access log. */
    readonly logged: Fields
  }
  readonly call: CallState | null
  readonly tries: {
    readonly count: number
    readonly retries: number
    readonly freeRepeats: number
    readonly isExhausted: boolean
    /** Endpoints. */
    readonly tried: readonly string[]
    /** -1 = none. */
    readonly hash: number
  }
  readonly attempt: AttemptState
  readonly trace: TraceState
  /** An id of ours. */
  readonly requestId: { readonly text: string; readonly isSent: boolean } | null
  /** What its token said, by which its route was found; absent from a release that kept it to itself. */
  readonly token?: VerifiedToken | null
  /** What filters want done to the request, and a cookie of ours. */
  readonly edits: EditsState | null
  /** What they want done to the reply; absent from a release that knew none. */
  readonly replyEdits?: EditsState | null
  readonly cookie: EditsState | null
}

export interface AttemptState {
  readonly agoMs: number
  /** Its reply is the caller's. */
  readonly hasWon: boolean
  readonly isReused: boolean
  readonly isJudged: boolean
  readonly holdsRetry: boolean
  /** Until the time for one try is over; -1 = there is none. */
  readonly leftMs: number
}

export type CountState = readonly [count: number, left: number, prefix: number, length: number]

/** Of a call in gRPC. */
export interface CallState {
  /** Until its deadline; -1 = none. */
  readonly leftMs: number
  readonly status: number
  readonly headMs: number
  readonly sent: CountState
  readonly received: CountState
  readonly countedSent: number
  readonly countedReceived: number
}

export interface TraceState {
  readonly ids: readonly [trace: string, span: string, parent: string]
  readonly formats: number
  readonly hasParent: boolean
  readonly isSampled: boolean
  readonly isThere: boolean
  readonly isRecorded: boolean
  readonly isDecided: boolean
  readonly isShort: boolean
  readonly replaces: boolean
}

export interface EditsState {
  readonly fields: Fields
  readonly drop: readonly string[]
}

const fields: Shape = ['list', ['row', 'string', 'string']]
const edits: Shape = ['maybe', { fields, drop: ['list', 'string'] }]
const count: Shape = ['row', 'number', 'number', 'number', 'number']

export const exchangeShape: Shape = {
  cluster: 'string',
  endpoint: 'string',
  agoMs: 'number',
  waitedMs: 'number',
  leftMs: 'number',
  body: { bytes: 'number', isDone: 'boolean', trailers: ['maybe', fields], kept: ['maybe', 'string'] },
  reply: { status: 'number', flag: 'string', bytes: 'number', headMs: 'number', logged: fields },
  call: [
    'maybe',
    {
      leftMs: 'number',
      status: 'number',
      headMs: 'number',
      sent: count,
      received: count,
      countedSent: 'number',
      countedReceived: 'number',
    },
  ],
  tries: {
    count: 'number',
    retries: 'number',
    freeRepeats: 'number',
    isExhausted: 'boolean',
    tried: ['list', 'string'],
    hash: 'number',
  },
  attempt: {
    agoMs: 'number',
    hasWon: 'boolean',
    isReused: 'boolean',
    isJudged: 'boolean',
    holdsRetry: 'boolean',
    leftMs: 'number',
  },
  trace: {
    ids: ['row', 'string', 'string', 'string'],
    formats: 'number',
    hasParent: 'boolean',
    isSampled: 'boolean',
    isThere: 'boolean',
    isRecorded: 'boolean',
    isDecided: 'boolean',
    isShort: 'boolean',
    replaces: 'boolean',
  },
  requestId: ['maybe', { text: 'string', isSent: 'boolean' }],
  token: ['newer', ['maybe', { principal: 'string', claims: {} }]],
  edits,
  replyEdits: ['newer', edits],
  cookie: edits,
}
