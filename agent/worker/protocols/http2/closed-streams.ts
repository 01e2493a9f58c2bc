/** Why a stream is over, as far as it matters to frames that still come for it. */
export const ClosedBy = {
  /** It never was, or it is long ago. */
  unknown: 0,
  /** Both sides said their end. */
  ends: 1,
  /** The peer reset it. */
  peer: 2,
  /** We reset it: what the peer had sent before it knew is ignored. */
  us: 3,
} as const
export type ClosedBy = (typeof ClosedBy)[keyof typeof ClosedBy]

const slots = 128

/** The last streams of a connection that ended, by their ids. Bound: 128, the oldest are forgotten. */
export class ClosedStreams {
  private ids: Uint32Array | null = null
  private reasons: Uint8Array | null = null
  private next = 0

  add(id: number, reason: ClosedBy): void {
    this.ids ??= new Uint32Array(slots)
    this.reasons ??= new Uint8Array(slots)
    const at = this.next++ & (slots - 1)
    this.ids[at] = id
    this.reasons[at] = reason
  }

  /** Of a reason, the latest last. */
  idsOf(reason: ClosedBy): number[] {
    const { ids, next, reasons } = this
    if (ids === null) return []
    const found: number[] = []
    for (let at = Math.max(0, next - slots); at < next; at++) {
      const slot = at & (slots - 1)
      if (reasons![slot] === reason) found.push(ids[slot]!)
    }
    return found
  }

  of(id: number): ClosedBy {
    const at = this.ids?.lastIndexOf(id) ?? -1
    return at < 0 ? ClosedBy.unknown : (this.reasons![at] as ClosedBy)
  }
}
