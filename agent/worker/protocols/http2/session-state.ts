import { misfit } from '../../listen/shape.ts'
import type { Shape } from '../../listen/shape.ts'
import type { Http2Bounds } from './deps.ts'
import { flowShape } from './flow-state.ts'
import type { FlowState } from './flow-state.ts'

/** A session as plain data: what its other half in the next process needs to go on. */
export interface SessionState {
  readonly lastId: number
  readonly sendWindow: number
  readonly receiveWindow: number
  readonly credit: number
  /** base64: a frame that has not come whole. */
  readonly received: string
  /** What the peer said in SETTINGS; -1 = without a bound. */
  readonly remote: {
    readonly maxStreams: number
    readonly initialWindow: number
    readonly maxFrameBytes: number
    readonly maxHeadBytes: number
    readonly takesConnect: boolean
  }
  /** The decoder's table, oldest first. */
  readonly table: { readonly maxSize: number; readonly fields: readonly (readonly [name: string, value: string])[] }
  /** What its peer was told; absent from a release where they were the same everywhere. */
  readonly bounds?: Http2Bounds
  /** Absent from a release that moved sessions without streams only. */
  readonly open?: OpenState
}

/** What only a session with streams has, or one that was told of its end. */
export interface OpenState {
  readonly flows: readonly FlowState[]
  /** Pings of ours without an answer. */
  readonly pings: number
  readonly promisedId: number
  readonly isGoneAway: boolean
  /** Streams that we have reset: what the peer sent before it knew is no error. */
  readonly resetIds: readonly number[]
}

const shape: Shape = {
  lastId: 'number',
  sendWindow: 'number',
  receiveWindow: 'number',
  credit: 'number',
  received: 'string',
  remote: {
    maxStreams: 'number',
    initialWindow: 'number',
    maxFrameBytes: 'number',
    maxHeadBytes: 'number',
    takesConnect: 'boolean',
  },
  table: { maxSize: 'number', fields: ['list', ['row', 'string', 'string']] },
}

const boundsShape: Shape = { maxStreams: 'number', streamWindow: 'number', connectionWindow: 'number' }

const openShape: Shape = {
  flows: ['list', flowShape],
  pings: 'number',
  promisedId: 'number',
  isGoneAway: 'boolean',
  resetIds: ['list', 'number'],
}

/** null = not what `SessionState` says. It comes from a process of this host, which may be of another release. */
export function readSessionState(given: unknown): SessionState | null {
  if (misfit(given, shape) !== null) return null
  const state = given as SessionState
  if (state.table.maxSize > 4096 || state.table.maxSize < 0) return null
  if (state.bounds !== undefined && misfit(state.bounds, boundsShape) !== null) return null
  if (state.open !== undefined && misfit(state.open, openShape) !== null) return null
  return state
}
