/** What happened on a node, as its timeline keeps it: `/events`, `hostmesh events`, the console. */

export const eventKinds = [
  'restart',
  'tier',
  'center',
  'registry',
  'ejection',
  'breaker',
  'rule',
  'certificate',
  'application',
  'drill',
  'host',
  'rollout',
] as const

export type EventKind = (typeof eventKinds)[number]

export interface MeshEvent {
  /** Grows by one; never used again on this node, also over restarts. */
  readonly id: number
  /** Epoch ms. */
  readonly at: number
  readonly kind: EventKind
  readonly severity: 'info' | 'warning' | 'error'
  /** Whom it befell: a registry's name, `SERVICE ADDRESS:PORT`, a rule, a SPIFFE id. */
  readonly about: string
  /** What happened, one word: `lost`, `back`, `ejected`, `rejected`. */
  readonly what: string
  readonly message: string
}

/** Answer of `/events`, the oldest first. */
export interface EventsAnswer {
  readonly events: readonly MeshEvent[]
  /** Highest id of all; 0 = nothing has happened yet. */
  readonly newest: number
  /** Lowest id that is still kept; 0 = none. */
  readonly oldest: number
}

/** What is wrong in a worker now: endpoints that outlier detection took out, breakers that are not closed. */
export interface WorkerTrouble {
  readonly kind: 'ejection' | 'breaker'
  /** `SERVICE ADDRESS:PORT` or the name of the destination. */
  readonly about: string
  /** `ejected`; `open` or `half-open`. */
  readonly what: string
  readonly reason: string
}

/** Troubles of one worker that are told; of more the first ones are. */
export const maxWorkerTroubles = 500
