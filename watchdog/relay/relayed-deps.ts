/** What a relayed connection is given: its listener, where it may go, and who hears of its way. */
import type { ConnectionOptions } from 'node:tls'
import type { RelayListener, RelayTargets } from '../../contracts/relay-targets.ts'
import type { LimitsSpec } from '../../contracts/snapshot.ts'
import type { AddressHealth, RelayAddress, RelayAddresses } from './relay-addresses.ts'
import type { Introduction } from './introduction.ts'
import type { RelayedHeads } from './relayed-heads.ts'
import type { Waiting } from './waiting.ts'

export type RelayEnd = 'center' | 'direct' | 'failed'

export interface RelayedDeps {
  readonly targets: RelayTargets
  readonly listenerName: string
  readonly listener: RelayListener
  readonly addresses: RelayAddresses
  readonly health: AddressHealth
  /** Who waits for the first byte of a center's answer. */
  readonly waiting: Waiting
  readonly heads: RelayedHeads
  readonly introduction: Introduction
  readonly limits: LimitsSpec
  readonly now: () => number
  readonly maxBufferBytes: number
  /** How centers are called in TLS; undefined = in plain. */
  readonly centerTls: ConnectionOptions | undefined
  /** A connection there would come back to a socket that we relay for, or meet another user than the application's. */
  readonly isRefused: (target: RelayAddress) => boolean
  /** Which tier took it, or that none did; again when a center did not deliver it and another took it. */
  readonly onRouted: (end: RelayEnd) => void
  /** A malformed request. */
  readonly onRefused: () => void
  /** A center delivered nothing, and the request goes on to another address. */
  readonly onPassedOver: () => void
}
