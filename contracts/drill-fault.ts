/** What control does to itself when a drill asks it to (`POST /drill`); every fault ends by itself. */
export const drillFaults = [
  'cut-registry',
  'deny-registry',
  'empty-registry',
  'slow-registry',
  'full-disk',
  'clock-step',
] as const

export type DrillFault = (typeof drillFaults)[number]

/** Longest time that a fault lasts, ms. */
export const maxFaultMs = 600_000

/** Largest amount of a fault, ms: a delay of `slow-registry`, a step of `clock-step` to either side. */
export const maxFaultByMs = 40 * 365 * 86_400_000

export interface DrillOrder {
  /** `none` ends what runs. */
  readonly fault: DrillFault | 'none'
  /** How long, ms: 1 to `maxFaultMs`; not for `none`. */
  readonly forMs?: number
  /** How much, ms; only of the two that have an amount. */
  readonly byMs?: number
}

/** What a drill tells the timeline: that it begins, and its verdict. */
export const drillPhases = ['began', 'kept', 'broken', 'aborted'] as const
