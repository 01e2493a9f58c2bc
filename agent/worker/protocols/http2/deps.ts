import type { LimitsSpec } from '../../../../contracts/snapshot.ts'
import type { Tallies } from '../../observe/tallies.ts'
import type { Clock } from '../../transport/clock.ts'
import type { TimerWheel } from '../../transport/timer-wheel.ts'
import type { HeadReader } from './head-reader.ts'
import type { Scratch } from './hpack/decoder.ts'
import type { NameTable } from './hpack/names.ts'
import type { OutputPool } from './output-pool.ts'

/** What both sides of the HTTP/2 codec need of their worker. */
export interface Http2Deps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly outputs: OutputPool
  readonly names: NameTable
  readonly scratch: Scratch
  readonly heads: HeadReader
  readonly tallies: Tallies
  readonly settings: Http2Settings
  /** For people who look for the cause: one line per connection that is given up. */
  readonly debug: (message: string) => void
}

/** What changes with the snapshot. One per worker. */
export interface Http2Settings {
  readonly limits: LimitsSpec
  /** Of one connection. */
  readonly bounds: Http2Bounds
}

export interface Http2Bounds {
  /** Streams of a caller's connection at once. */
  readonly maxStreams: number
  /** Content of one stream that may wait here. */
  readonly streamWindow: number
  /** Content of all streams of a connection that may wait here. */
  readonly connectionWindow: number
}

/** Sources: Envoy's edge advice (100 streams, 64 KiB, 1 MiB). */
export const defaultBounds: Http2Bounds = { maxStreams: 100, streamWindow: 65_536, connectionWindow: 1_048_576 }
