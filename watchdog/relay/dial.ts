/** Tries one address after the other; one that does not take the connection rests for a while. */
import type { AddressHealth, Candidate } from './candidates.ts'
import { keyOf } from './candidates.ts'
import { Wire } from './wire.ts'

const connectTimeoutMs = 1000

export interface DialDeps {
  readonly health: AddressHealth
  readonly now: () => number
  readonly maxBufferBytes: number
  /** Whether a connection there would come back to a socket that we relay for. */
  readonly leadsBack: (candidate: Candidate) => boolean
}

/** Who took it, and who stands behind it in the list. */
export interface Dialed {
  readonly wire: Wire
  readonly candidate: Candidate
  readonly untried: readonly Candidate[]
}

/** `done` is called once, unless `cancel` was before; undefined = nobody took it. */
export function dialFirst(
  list: readonly Candidate[],
  deps: DialDeps,
  done: (dialed: Dialed | undefined) => void,
): { cancel(): void } {
  let current: { cancel(): void } | undefined
  const next = (position: number): void => {
    const candidate = list[position]
    if (candidate === undefined) {
      done(undefined)
      return
    }
    if (deps.leadsBack(candidate)) {
      next(position + 1)
      return
    }
    current = Wire.dial(
      candidate,
      deps.maxBufferBytes,
      connectTimeoutMs,
      (wire) => {
        deps.health.worked(keyOf(candidate))
        done({ wire, candidate, untried: list.slice(position + 1) })
      },
      () => {
        deps.health.failed(keyOf(candidate), deps.now())
        next(position + 1)
      },
    )
  }
  next(0)
  return { cancel: () => current?.cancel() }
}
