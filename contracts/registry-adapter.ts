/**
 * What a registry adapter promises. `test/compliance/registry-adapter.ts` is the executable meaning of this file; every
 * adapter must pass it.
 *
 * Life: `start()` once, then subscriptions and registrations in any order, then `close()` once. All methods may be
 * called while the registry is away: they record the desired state at once and return; the adapter restores the desired
 * state whenever the registry is reachable again.
 */
import type { Clock } from './clock.ts'
import type { EndpointSet, ServiceKey, ServiceName } from './endpoint.ts'
import type { ErrorCode } from './errors.ts'

/** A list of more entries than this many times the bound on endpoints is cut before anything of it is looked at. */
export const lookedAtShare = 2

/**
 * What a subscriber hears. Calls for one service come in order, never after `unsubscribe()` returned, never
 * synchronously from `subscribe()`.
 */
export interface EndpointListener {
  /**
   * The newest endpoints, whole. An empty set is real news ("no instance"). What the adapter itself keeps against the
   * registry's newest word is listed in `held`. `isConfirmed`: the adapter asked again, while nothing else was wrong
   * with the registry, and heard the same; what is missing is gone and needs no further proof. It may be the only news:
   * the same set as before, now confirmed.
   */
  onEndpoints(set: EndpointSet, isConfirmed: boolean): void
  /** The registry cannot be asked at the moment; the last set stays valid. Called once per loss, not per attempt. */
  onStale(problem: RegistryProblem): void
}

export interface RegistryProblem {
  readonly code: ErrorCode
  readonly message: string
  readonly at: number
}

export interface Subscription {
  unsubscribe(): void
}

/** A local application as it is announced. Same identity = same service, address, port and cluster. */
export interface Registration {
  readonly service: ServiceName
  readonly address: string
  readonly port: number
  readonly weight: number
  readonly cluster: string
  readonly healthy: boolean
  readonly enabled: boolean
  readonly metadata: Readonly<Record<string, string>>
}

export interface RegistrationHandle {
  /** Replaces weight, health, enabled, metadata. Idempotent. */
  update(change: Partial<Pick<Registration, 'weight' | 'healthy' | 'enabled' | 'metadata'>>): void
  /**
   * Removes the instance on purpose. Resolves when the registry confirmed it or after `deadlineMs`; the desired state
   * is gone at once either way.
   */
  deregister(deadlineMs: number): Promise<void>
  /** Lets go without removing the instance: another process carries on with the heartbeats. */
  release(): void
  readonly state: 'pending' | 'registered' | 'failing'
  /** Why the last attempt failed; absent = it did not, or nothing more is known. */
  readonly problem?: RegistryProblem | undefined
}

export interface RegistryStatus {
  readonly name: string
  readonly type: string
  /** It can be reached and answers what it is asked; a registry that refuses everything is not connected. */
  readonly connected: boolean
  /** The server that is talked to now, as `host:port`. */
  readonly server: string | undefined
  readonly problem: RegistryProblem | undefined
  readonly subscriptions: number
  readonly registrations: number
  /**
   * Epoch ms of the last word from the registry, 0 = never. A word is an answer or news, not a living connection over
   * which everything is refused.
   */
  readonly lastHeardAt: number
  /** What it refuses at the moment, one entry per kind of call; absent = nothing. */
  readonly refused?: readonly RefusedCalls[]
}

/** Calls of one kind that the registry refuses (credentials, permissions). */
export interface RefusedCalls {
  readonly call: 'subscribe' | 'register' | 'documents'
  readonly count: number
  /** How many of the kind are wanted. */
  readonly of: number
  /** Epoch ms of the first refusal that was not followed by an answer. */
  readonly since: number
  /** The newest refusal, with server and call. */
  readonly message: string
}

/** A configuration document in the registry's own store (Nacos config). */
export interface ConfigDocument {
  readonly group: string
  readonly dataId: string
  readonly content: string
  /** Hash for compare-and-set; lower-case hex md5 in Nacos. */
  readonly revision: string
}

export interface ConfigSource {
  /**
   * Hears the present content and each change; `undefined` = the document does not exist. Same ordering promises as
   * `subscribe`.
   */
  watch(group: string, dataId: string, listener: (document: ConfigDocument | undefined) => void): Subscription
  read(group: string, dataId: string, signal: AbortSignal): Promise<ConfigDocument | undefined>
  /**
   * Writes if the stored revision equals `expectedRevision` ('' = must not exist, undefined = whatever is there).
   * E_REGISTRY_CONFLICT otherwise.
   */
  publish(
    group: string,
    dataId: string,
    content: string,
    expectedRevision: string | undefined,
    signal: AbortSignal,
  ): Promise<ConfigDocument>
  remove(group: string, dataId: string, signal: AbortSignal): Promise<void>
}

/** Rules of one kind in one place of the registry. */
export interface RuleCollection {
  /** `VirtualService in shop`; the same over restarts. */
  readonly name: string
  /** All of its resources, as documents of YAML or JSON; undefined = they cannot be read, or were not yet. */
  readonly text: string | undefined
  /** Why they cannot be read. */
  readonly problem?: string
  /** Nobody has answered yet: no fault of anybody. */
  readonly isAwaited?: true
}

/** Rules that lie in the registry as resources of their own (Kubernetes objects). */
export interface RuleFeed {
  /**
   * Hears all collections, whole, at first and after each change, never synchronously. While the registry is away
   * nothing is heard: what was said stays.
   */
  watch(listener: (collections: readonly RuleCollection[]) => void): Subscription
  /** The services about which rules are wanted, all of them; absent = it always has all rules. */
  want?(services: readonly ServiceName[]): void
}

export interface RegistryAdapter {
  readonly name: string
  readonly type: string
  /** Begins to connect and returns at once; the first loss or success is seen in `status()` and by listeners. */
  start(): void
  /**
   * Hears the newest endpoints of one service until `unsubscribe()`.
   * Timing: the first `onEndpoints` comes as soon as the registry has answered; a service unknown to the registry is
   * answered with an empty set.
   */
  subscribe(service: ServiceName, listener: EndpointListener): Subscription
  /**
   * Announces a local application; heartbeats, renewal after loss and idempotence are the adapter's. Throws
   * E_CONFIG_INVALID for an adapter that cannot register.
   */
  register(registration: Registration): RegistrationHandle
  /**
   * Names of the services that the registry knows, at most `limit`, for the console and for "closest name" in errors.
   */
  listServices(limit: number, signal: AbortSignal): Promise<ServiceKey[]>
  readonly config: ConfigSource | undefined
  /** Absent = rules do not lie there as resources, or are not wanted. */
  readonly rules?: RuleFeed
  status(): RegistryStatus
  /**
   * Ends connections and timers. Registrations that were neither deregistered nor released stay in the registry until
   * it expires them.
   */
  close(): Promise<void>
}

/** What every adapter is given; nothing is taken from globals. */
export interface AdapterDeps {
  readonly clock: Clock
  readonly random: () => number
  readonly log: AdapterLog
  readonly metrics: AdapterMetrics
}

/** Of a log line, but none that every line of a process has: a second one of its name would hide whose line it is. */
export type LogFields = Readonly<Record<string, unknown>> & {
  readonly [name in 'process' | 'pid' | 'generation' | 'role' | 'host']?: never
}

export interface AdapterLog {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export interface AdapterMetrics {
  /**
   * Adds to a counter; `name` without prefix or `_total`, for example `registry_push_refused`. Labels are few and
   * bounded.
   */
  count(name: string, labels: Readonly<Record<string, string>>, amount?: number): void
  gauge(name: string, labels: Readonly<Record<string, string>>, value: number): void
}
