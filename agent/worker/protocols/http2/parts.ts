import { defaultLimits } from '../../../../contracts/snapshot.ts'
import { Http2Settings } from './deps.ts'
import type { Http2Deps } from './deps.ts'
import { HeadReader } from './head-reader.ts'
import { Scratch } from './hpack/decoder.ts'
import { NameTable } from './hpack/names.ts'

/** The parts that all connections of a worker share, with the bounds of a worker without a snapshot. */
export function http2Parts(given: Pick<Http2Deps, 'clock' | 'debug' | 'outputs' | 'tallies' | 'wheel'>): Http2Deps {
  return {
    ...given,
    names: new NameTable(),
    scratch: new Scratch(),
    heads: new HeadReader(),
    settings: new Http2Settings(defaultLimits, 'hostmesh', 'agent'),
  }
}
