/** Tries one address after the other; one that does not take the connection rests for a while. */
import type { ConnectionOptions } from 'node:tls'
import type { AddressHealth, RelayAddress } from './relay-addresses.ts'
import { keyOf } from './relay-addresses.ts'
import { Wire } from './wire.ts'

const connectTimeoutMs = 1000

export interface DialDeps {
  readonly health: AddressHealth
  readonly now: () => number
  readonly maxBufferBytes: number
  /** Whether no connection may be made there. */
  readonly isRefused: (target: RelayAddress) => boolean
  /** How centers are called in TLS; undefined = in plain. */
  readonly centerTls: ConnectionOptions | undefined
}

/** Who took it, and who stands behind it in the list. */
export interface Dialed {
  readonly wire: Wire
  readonly target: RelayAddress
  readonly untried: readonly RelayAddress[]
}

/** `done` is called once, unless `cancel` was before; undefined = nobody took it. */
export function dialFirst(
  list: readonly RelayAddress[],
  deps: DialDeps,
  done: (dialed: Dialed | undefined) => void,
): { cancel(): void } {
  let current: { cancel(): void } | undefined
  const next = (position: number): void => {
    const target = list[position]
    if (target === undefined) {
      done(undefined)
      return
    }
    if (deps.isRefused(target)) {
      next(position + 1)
      return
    }
    current = Wire.dial(
      target,
      {
        maxBytes: deps.maxBufferBytes,
        timeoutMs: connectTimeoutMs,
        tls: target.tier === 'center' ? deps.centerTls : undefined,
      },
      (wire) => {
        deps.health.worked(keyOf(target))
        done({ wire, target, untried: list.slice(position + 1) })
      },
      () => {
        deps.health.failed(keyOf(target), deps.now())
        next(position + 1)
      },
    )
  }
  next(0)
  return { cancel: () => current?.cancel() }
}
