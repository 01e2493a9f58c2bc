import type { BuiltinName } from './builtin-filters.ts'

/** A filter of a user, as the configuration of a host describes it. Plain data, safe as JSON. */
export interface UserFilterSpec {
  /** By which routes name it. */
  readonly name: string
  /** Absolute path of its module; absent = it comes with us. */
  readonly path?: string
  /** Which of those; absent = it has a path. */
  readonly builtin?: BuiltinName
  readonly settings: Readonly<Record<string, unknown>>
  /** Paths of settings are relative to it. */
  readonly directory: string
  /** How long one answer of it may take, ms. */
  readonly deadlineMs: number
  /** Whether requests go on while it fails or is off. */
  readonly failOpen: boolean
  /** In ten seconds of one worker; with one more it is off. */
  readonly maxFailures: number
  /** How long it stays off, ms. */
  readonly offMs: number
}

/**
 * `loading`: its module is being read. `failed`: it could not be made. `off`: it failed too often, or held a worker up.
 */
export type UserFilterState = 'loading' | 'on' | 'off' | 'failed'

/** Of one worker, for status and pages. */
export interface UserFilterDump {
  readonly name: string
  readonly state: UserFilterState
  /** Of a state that is not `on`; '' = nothing to say. */
  readonly why: string
  readonly failures: number
}
