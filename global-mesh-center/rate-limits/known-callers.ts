/**
 * Who calls, for many short calls of the same few: a certificate is read once in ten seconds. Bound: 1,000 of them;
 * beyond it all are read again.
 */
import type { Arriving, XdsCaller } from '../xds/xds-callers.ts'

const keptMs = 10_000
const maxKept = 1000

type Known = XdsCaller | { readonly refusal: string }

export class KnownCallers {
  private readonly kept = new Map<string, { readonly caller: Known; readonly at: number }>()
  private readonly read: (arriving: Arriving) => Known
  /** Monotonic ms. */
  private readonly now: () => number

  constructor(read: (arriving: Arriving) => Known, now: () => number) {
    this.read = read
    this.now = now
  }

  callerOf(arriving: Arriving): Known {
    const { authorization, certificate } = arriving
    if (authorization !== undefined || certificate === undefined) return this.read(arriving)
    const key = certificate.toString('latin1')
    const now = this.now()
    const known = this.kept.get(key)
    if (known !== undefined && now - known.at < keptMs) return known.caller
    if (this.kept.size >= maxKept) this.kept.clear()
    const caller = this.read(arriving)
    this.kept.set(key, { caller, at: now })
    return caller
  }
}
