/** `hostmesh streams`: requests in flight, long streams first; follows them, and ends those that are named. */
import { streamCells, streamHeading } from '../../contracts/streams-table.ts'
import type { StreamRow } from '../../contracts/live-view.ts'
import type { CommandContext } from '../context.ts'
import type { ExitCode } from '../exit-codes.ts'
import { closeRows, followRows, listRows } from './live-rows.ts'
import type { LiveRows } from './live-rows.ts'

export interface StreamsCall {
  readonly listener: string | undefined
  readonly service: string | undefined
  readonly peer: string | undefined
  /** ms. */
  readonly leastMs: number | undefined
}

const rows: LiveRows<StreamRow> = { path: '/streams', key: 'streams', heading: streamHeading, cells: streamCells }

export function listStreams(context: CommandContext, call: StreamsCall): Promise<ExitCode> {
  return listRows(context, rows, call)
}

/** One line for each that begins or ends, seen once a second: what lives shorter is not seen. */
export function followStreams(context: CommandContext, call: StreamsCall): Promise<ExitCode> {
  return followRows(context, rows, call)
}

export async function closeStreams(
  context: CommandContext,
  ids: readonly string[],
  call: StreamsCall,
): Promise<ExitCode> {
  return closeRows(context, rows, ids, call, {}, (total) => `${total} streams were ended`)
}
