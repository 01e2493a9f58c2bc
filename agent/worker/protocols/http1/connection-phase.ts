/** Where a caller's connection stands. */
export const Phase = {
  /** Between two requests. */
  idle: 0,
  /** A request head has begun. */
  head: 1,
  /** An exchange runs; more of its content is to come. */
  content: 2,
  /** An exchange runs; its request is whole. */
  reply: 3,
  /** The last answer was written: what still comes is thrown away until the peer closes or a bound is reached. */
  lingering: 4,
  closed: 5,
} as const
export type Phase = (typeof Phase)[keyof typeof Phase]

/** Uses of the timers. */
export const TimerKind = { idle: 0, head: 1, content: 2, linger: 3, stalled: 4, halfClosed: 5 } as const
