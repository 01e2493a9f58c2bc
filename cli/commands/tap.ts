/** `hostmesh tap`: requests of this host as they end. */
import { randomUUID } from 'node:crypto'
import type { TappedRequest } from '../../contracts/live-view.ts'
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { pause, untilStopped } from '../terminal/stoppable.ts'

export interface TapCall {
  readonly service: string | undefined
  readonly status: string | undefined
  readonly method: string | undefined
  readonly path: string | undefined
  readonly source: string | undefined
  readonly minMs: number | undefined
  readonly failed: boolean
  /** Ends after so many; undefined = when it is stopped. */
  readonly count: number | undefined
}

interface Answer {
  readonly requests: readonly TappedRequest[]
  readonly skipped: number
  readonly problems: readonly string[]
}

const askEveryMs = 1000

export async function tap({ admin, output }: CommandContext, call: TapCall): Promise<ExitCode> {
  const query = new URLSearchParams({ id: randomUUID() })
  const words = {
    service: call.service,
    status: call.status,
    method: call.method,
    pathPrefix: call.path,
    source: call.source,
    leastMs: call.minMs === undefined ? undefined : String(call.minMs),
    failed: call.failed ? 'true' : undefined,
  }
  for (const [name, value] of Object.entries(words)) if (value !== undefined) query.set(name, value)
  // a worker that has no room for more looks at no more than status, time and failure
  const isCounted = [call.service, call.method, call.path, call.source].every((word) => word === undefined)
  const told = new Set<string>()
  let left = call.count ?? Infinity
  return untilStopped(async (stop) => {
    for (;;) {
      const { problems, requests, skipped } = (await adminJson(admin, `/tap?${query.toString()}`)) as Answer
      for (const request of requests) {
        if (left-- <= 0) break
        printRequest(output, request)
      }
      if (skipped > 0)
        output.problem(
          isCounted
            ? `${skipped} more matched and are not shown; narrow the filters`
            : `up to ${skipped} more matched and are not shown`,
        )
      for (const problem of problems) if (!told.has(problem) && told.add(problem)) output.problem(problem)
      if (left <= 0 || stop.aborted) return exitCodes.ok
      await pause(askEveryMs, stop)
      if (stop.aborted) return exitCodes.ok
    }
  })
}

function printRequest(output: Output, r: TappedRequest): void {
  if (output.isJson) {
    // one per line, for there is no last one
    output.line(JSON.stringify(r))
    return
  }
  const why = r.code ?? (r.flag === '-' ? '' : r.flag)
  const time = new Date(r.at).toISOString().slice(11, 23)
  const side = r.reporter === 'destination' ? '→ in' : 'out →'
  const text = `${time}  ${side}  ${r.service}  ${r.status}  ${r.method} ${r.path}  ${r.durationMs.toFixed(1)} ms  ${r.sourceApp === '-' ? r.sourceAddress : r.sourceApp} → ${r.upstream}${r.attempts > 1 ? `  ${r.attempts} tries` : ''}${why === '' ? '' : `  ${why}`}`
  output.line(r.status >= 500 || r.code !== undefined ? output.style('red', text) : text)
}
