/**
 * Follows the address of this host while it runs: a lease that ends, an interface that comes back with another address.
 * Only a new address that is still there at the next look counts, so that an interface that goes up and down starts
 * nothing; no address at all is no news either.
 */
import type { Clock } from '../clock.ts'

export interface AddressWatchDeps {
  readonly clock: Clock
  /** The address that is announced now. */
  readonly present: string | undefined
  /** Address of the default route's interface; undefined = there is none. */
  readonly look: () => string | undefined
  readonly onChange: (address: string, before: string | undefined) => void
}

const everyMs = 2500

export function watchAddress({ clock, present, look, onChange }: AddressWatchDeps): { close(): void } {
  let announced = present
  let candidate: string | undefined
  let cancel = clock.after(everyMs, again)
  function again(): void {
    cancel = clock.after(everyMs, again)
    const found = look()
    if (found === undefined || found === announced) {
      candidate = undefined
      return
    }
    if (found !== candidate) {
      candidate = found
      return
    }
    const before = announced
    announced = found
    candidate = undefined
    onChange(found, before)
  }
  return { close: () => cancel() }
}
