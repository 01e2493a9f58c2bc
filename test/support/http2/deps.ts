import { defaultLimits } from '../../../contracts/snapshot.ts'
import { Tallies } from '../../../agent/worker/observe/tallies.ts'
import { Http2Settings } from '../../../agent/worker/protocols/http2/deps.ts'
import type { Http2Deps } from '../../../agent/worker/protocols/http2/deps.ts'
import { HeadReader } from '../../../agent/worker/protocols/http2/head-reader.ts'
import { Scratch } from '../../../agent/worker/protocols/http2/hpack/decoder.ts'
import { NameTable } from '../../../agent/worker/protocols/http2/hpack/names.ts'
import { OutputPool } from '../../../agent/worker/transport/output-pool.ts'
import { Clock } from '../../../agent/worker/transport/clock.ts'
import { TimerWheel } from '../../../agent/worker/transport/timer-wheel.ts'

/** What a session needs, with a clock that stands still until it is told. */
export function http2Deps(time: { now: number } = { now: 1000 }, parts: Partial<Http2Deps> = {}): Http2Deps {
  return {
    clock: new Clock(() => time.now),
    wheel: new TimerWheel(
      () => time.now,
      () => {},
    ),
    outputs: new OutputPool(setImmediate),
    names: new NameTable(),
    scratch: new Scratch(),
    heads: new HeadReader(),
    tallies: new Tallies(),
    settings: new Http2Settings(defaultLimits, 'mesh', 'agent'),
    debug() {},
    ...parts,
  }
}
