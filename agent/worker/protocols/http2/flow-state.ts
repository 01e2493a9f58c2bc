import type { Fields } from '../../forward/streams.ts'
import type { Shape } from '../../listen/shape.ts'
import type { KeptBytes } from '../../transport/kept-bytes.ts'
import { Flow, nobody } from './flow.ts'
import type { FlowSession } from './flow.ts'
import type { H2Error } from './frames.ts'

/** An open stream of a session as plain data, without its user. */
export interface FlowState {
  readonly id: number
  readonly sendWindow: number
  readonly receiveWindow: number
  readonly windowSize: number
  readonly credit: number
  readonly announced: number
  readonly received: number
  readonly resetCode: number
  /** Bits, in the order of `flags`. */
  readonly flags: number
  /** base64. */
  readonly unsent: string
  readonly untold: string
  readonly trailers: Fields | null
  readonly remoteTrailers: Fields | null
}

const fields: Shape = ['maybe', ['list', ['row', 'string', 'string']]]

export const flowShape: Shape = {
  id: 'number',
  sendWindow: 'number',
  receiveWindow: 'number',
  windowSize: 'number',
  credit: 'number',
  announced: 'number',
  received: 'number',
  resetCode: 'number',
  flags: 'number',
  unsent: 'string',
  untold: 'string',
  trailers: fields,
  remoteTrailers: fields,
}

/** New ones go behind the others. */
const flags = [
  'isLocalDone',
  'isEnding',
  'isAwaited',
  'isRemoteDone',
  'hasHead',
  'isPaused',
  'isEndTold',
  'isWithoutContent',
  'isFaulty',
] as const

export function flowState(flow: Flow): FlowState {
  const { announced, credit, id, received, receiveWindow, remoteTrailers, resetCode, sendWindow, trailers } = flow
  return {
    id,
    sendWindow,
    receiveWindow,
    windowSize: flow.windowSize,
    credit,
    announced,
    received,
    resetCode,
    flags: flags.reduce((bits, name, index) => (flow[name] ? bits | (1 << index) : bits), 0),
    unsent: text(flow.unsent),
    untold: text(flow.untold),
    trailers,
    remoteTrailers,
  }
}

function text(kept: KeptBytes): string {
  return kept.length === 0 ? '' : kept.whole().toString('base64')
}

/** Without a user yet: what comes for it meanwhile is thrown away. */
export function flowFrom(state: FlowState, session: FlowSession): Flow {
  const flow = new Flow(nobody)
  flow.begin(session, state.id, state.sendWindow, state.receiveWindow)
  flow.windowSize = state.windowSize
  flow.credit = state.credit
  flow.announced = state.announced
  flow.received = state.received
  flow.resetCode = state.resetCode as H2Error
  for (const [index, name] of flags.entries()) flow[name] = (state.flags & (1 << index)) !== 0
  keep(flow.unsent, state.unsent)
  keep(flow.untold, state.untold)
  flow.trailers = state.trailers
  flow.remoteTrailers = state.remoteTrailers
  return flow
}

function keep(kept: KeptBytes, base64: string): void {
  const bytes = Buffer.from(base64, 'base64')
  kept.add(bytes, 0, bytes.length)
}
