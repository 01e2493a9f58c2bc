import { openFastCalls } from '../../../native/fast-calls.ts'
import { lazily } from '../lazily.ts'
import { epollTransports } from './epoll/transports.ts'
import type { Output } from './output.ts'
import { publicTransports } from './public-socket.ts'
import { firstRawMajor } from './raw-bindings.ts'
import type * as RawHandleModule from './raw-handle.ts'
import { proveTransports } from './raw-self-test.ts'
import type { TransportKind, Transports } from './transport.ts'

const loadRaw = lazily<typeof RawHandleModule>(import.meta.url, './raw-handle', 'raw handles')

/** `auto`: the fastest that is proven here. One by name: that one, or the next slower one that is proven. */
export type WantedTransport = 'auto' | TransportKind
export const wantedTransports: readonly WantedTransport[] = ['auto', 'epoll', 'raw', 'public']

export interface SelectTransportsDeps {
  readonly output: Output
  readonly wanted: WantedTransport
  /** `process.versions.node`. */
  readonly nodeVersion: string
  /** '' = sockets of our own have passed their trial on this host; else why they may not serve. */
  readonly trial: () => Promise<string>
  readonly log: (level: 'info' | 'warn', message: string) => void
}

export interface SelectedTransports {
  readonly transports: Transports
  /** Why these and no faster ones. */
  readonly reason: string
}

/**
 * Never fails: public sockets are always there. One line in the log says what serves and why; a warning where it is not
 * what was wanted by name, or where raw handles failed.
 */
export async function selectTransports(deps: SelectTransportsDeps): Promise<SelectedTransports> {
  const { log, wanted } = deps
  const reasons: string[] = []
  const selected = await select(deps, reasons)
  const { kind } = selected
  if (wanted === kind) reasons.unshift('as configured')
  else if (reasons.length === 0) reasons.push('the self-test passed')
  const reason = reasons.join('; ')
  const isLess = wanted === 'auto' ? kind === 'public' : kind !== wanted
  log(isLess ? 'warn' : 'info', `transport ${kind}: ${reason}`)
  return { transports: selected, reason }
}

async function select(deps: SelectTransportsDeps, reasons: string[]): Promise<Transports> {
  const { nodeVersion, output, trial, wanted } = deps
  if (wanted === 'public') return publicTransports()
  if (wanted !== 'raw') {
    const refusal = await trial()
    if (refusal !== '') reasons.push(`epoll: ${refusal}`)
    else {
      const found = await proven(output, () => {
        const { calls, problem } = openFastCalls()
        if (calls === undefined) throw new Error(problem)
        return epollTransports(output, calls)
      })
      if (typeof found !== 'string') return found
      reasons.push(`epoll: ${found}`)
    }
  }
  if (Number.parseInt(nodeVersion, 10) !== firstRawMajor) {
    reasons.push(`raw: known to work on node ${firstRawMajor}, found ${nodeVersion}`)
    return publicTransports()
  }
  const found = await proven(output, () => loadRaw().rawTransports(output))
  if (typeof found !== 'string') return found
  reasons.push(`raw: ${found}`)
  return publicTransports()
}

/** The reason where they cannot be made or the self-test fails. */
async function proven(output: Output, make: () => Transports): Promise<Transports | string> {
  try {
    const transports = make()
    await proveTransports(transports, output)
    return transports
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
