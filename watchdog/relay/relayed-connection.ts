/** One connection through the relay. HTTP carries one request, so that a caller is back with the workers as soon as they are; TCP stays until one side ends. */
import type net from 'node:net'
import type { RelayListener, RelayTargets } from '../../contracts/relay-targets.ts'
import type { LimitsSpec } from '../../contracts/snapshot.ts'
import type { AddressHealth, Candidate, CandidateList } from './candidates.ts'
import { HttpExchange } from './http-exchange.ts'
import type { Introduction } from './introduction.ts'
import type { RelayedHeads } from './relayed-heads.ts'
import { relayTcp } from './tcp-relay.ts'
import type { Waiting } from './waiting.ts'
import { Wire } from './wire.ts'

export type RelayEnd = 'center' | 'direct' | 'failed'

export interface RelayedDeps {
  readonly targets: RelayTargets
  readonly listenerName: string
  readonly listener: RelayListener
  readonly candidates: CandidateList
  readonly health: AddressHealth
  /** Who waits for the first byte of a center's answer. */
  readonly waiting: Waiting
  readonly heads: RelayedHeads
  readonly introduction: Introduction
  readonly limits: LimitsSpec
  readonly now: () => number
  readonly maxBufferBytes: number
  /** Whether a connection there would come back to a socket that we relay for. */
  readonly leadsBack: (candidate: Candidate) => boolean
  /** Which tier took it, or that none did; again when a center did not deliver it and another took it. */
  readonly onRouted: (end: RelayEnd) => void
  /** A malformed request. */
  readonly onRefused: () => void
  /** A center delivered nothing, and the request goes on to another address. */
  readonly onPassedOver: () => void
}

/** Takes a paused socket with `allowHalfOpen`. Nothing is left open when both sides have closed. */
export function relayConnection(socket: net.Socket, deps: RelayedDeps): void {
  socket.setNoDelay(true)
  const downstream = Wire.accepted(socket)
  if (deps.listener.protocol === 'http') void new HttpExchange(downstream, deps)
  else relayTcp(downstream, deps)
}
