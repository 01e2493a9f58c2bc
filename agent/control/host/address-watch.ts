/**
 * Follows the address of this host while it runs: a lease that ends, an interface that comes back with another address.
 * Only a new address that is still there at the next look counts, so that an interface that goes up and down starts
 * nothing; no address at all is no news either. What could not be done about a new address is tried again.
 */
import type { Clock } from '../clock.ts'

export interface AddressWatchDeps {
  readonly clock: Clock
  /** The address that is announced now. */
  readonly present: string | undefined
  /** Address of the default route's interface; undefined = there is none. */
  readonly look: () => string | undefined
  /** Once for each new address. */
  readonly onChange: (address: string, before: string | undefined) => void
  /** Has it announced; false = it was not. Asked again, after ever longer pauses, until it is. Never rejects. */
  readonly follow: (address: string) => Promise<boolean>
}

export interface AddressWatch {
  /** What was in the way may be gone: the next look tries again. */
  retry(): void
  close(): void
}

const everyMs = 2500
const maxPauseMs = 60_000

export function watchAddress({ clock, present, look, onChange, follow }: AddressWatchDeps): AddressWatch {
  let announced = present
  let seen: string | undefined
  let told: string | undefined
  let isFollowing = false
  let pauseMs = everyMs
  let nextTry = 0
  let cancel = clock.after(everyMs, again)

  function again(): void {
    cancel = clock.after(everyMs, again)
    const found = look()
    if (found === announced) told = undefined
    if (found === undefined || found === announced || found !== seen) {
      seen = found
      return
    }
    if (found !== told) {
      told = found
      retry()
      onChange(found, announced)
    }
    if (!isFollowing && clock.monotonic() >= nextTry) void tryIt(found)
  }

  async function tryIt(address: string): Promise<void> {
    isFollowing = true
    const isAnnounced = await follow(address)
    isFollowing = false
    if (isAnnounced) announced = address
    nextTry = clock.monotonic() + pauseMs
    pauseMs = Math.min(pauseMs * 2, maxPauseMs)
  }

  function retry(): void {
    pauseMs = everyMs
    nextTry = 0
  }

  return { retry, close: () => cancel() }
}
