/** A registry whose every word the test speaks, and log and metrics that remember. */
import {
  endpointAt,
  serviceKey,
  type Endpoint,
  type EndpointSet,
  type ServiceKey,
  type ServiceName,
} from '../../../../../contracts/endpoint.ts'
import type {
  AdapterLog,
  AdapterMetrics,
  EndpointListener,
  Registration,
  RegistrationHandle,
  RegistryAdapter,
  RegistryStatus,
} from '../../../../../contracts/registry-adapter.ts'

export interface FakeRegistration {
  registration: Registration
  state: 'registered' | 'deregistered' | 'released'
  updates: Partial<Registration>[]
}

/** What else a word of the fake registry says. */
export interface Word {
  readonly protectThreshold?: number
  readonly held?: readonly string[]
  readonly isConfirmed?: boolean
  readonly isForeign?: true
}

export interface FakeRegistry extends RegistryAdapter {
  say(service: ServiceName, endpoints: readonly Endpoint[], word?: Word): void
  goAway(message?: string): void
  comeBack(): void
  readonly registrations: FakeRegistration[]
  subscribers(service: ServiceName): number
  isClosed: boolean
}

export function fakeRegistry(name = 'main', now: () => number = () => 0): FakeRegistry {
  const listeners = new Map<ServiceKey, Set<EndpointListener>>()
  const registrations: FakeRegistration[] = []
  const said = new Map<ServiceKey, EndpointSet>()
  let connected = true
  let version = 0
  const fake: FakeRegistry = {
    name,
    type: 'fake',
    config: undefined,
    isClosed: false,
    registrations,
    start: () => undefined,
    subscribe(service, listener) {
      const key = serviceKey(service)
      const set = listeners.get(key) ?? new Set<EndpointListener>()
      listeners.set(key, set.add(listener))
      const last = said.get(key)
      if (last !== undefined && connected)
        queueMicrotask(() => {
          if (set.has(listener)) listener.onEndpoints(last, false)
        })
      return { unsubscribe: () => void set.delete(listener) }
    },
    register(registration): RegistrationHandle {
      const entry: FakeRegistration = { registration, state: 'registered', updates: [] }
      registrations.push(entry)
      return {
        update: (change) => {
          entry.updates.push(change)
          entry.registration = { ...entry.registration, ...change }
        },
        deregister: () => {
          entry.state = 'deregistered'
          return Promise.resolve()
        },
        release: () => {
          if (entry.state === 'registered') entry.state = 'released'
        },
        get state() {
          return 'registered' as const
        },
      }
    },
    listServices: (limit) => Promise.resolve([...said.keys()].slice(0, limit)),
    status: (): RegistryStatus => ({
      name,
      type: 'fake',
      connected,
      server: '127.0.0.1:8848',
      problem: undefined,
      subscriptions: listeners.size,
      registrations: registrations.length,
      lastHeardAt: now(),
    }),
    close: () => {
      fake.isClosed = true
      return Promise.resolve()
    },
    say(service, endpoints, { protectThreshold = 0, held, isConfirmed = false, isForeign } = {}) {
      const key = serviceKey(service)
      const set: EndpointSet = {
        service: key,
        version: ++version,
        endpoints,
        ...(held === undefined ? {} : { held }),
        ...(isForeign === undefined ? {} : { isForeign }),
        protectThreshold,
        registry: name,
        confirmedAt: now(),
      }
      said.set(key, set)
      for (const listener of listeners.get(key) ?? []) listener.onEndpoints(set, isConfirmed)
    },
    goAway(message = 'no answer') {
      connected = false
      for (const set of listeners.values())
        for (const listener of set) listener.onStale({ code: 'E_REGISTRY_UNREACHABLE', message, at: now() })
    },
    comeBack() {
      connected = true
    },
    subscribers: (service) => listeners.get(serviceKey(service))?.size ?? 0,
  }
  return fake
}

export function endpoint(id: string, change: Partial<Endpoint> = {}): Endpoint {
  const at = id.lastIndexOf(':')
  const address = id.slice(0, at).replace(/^\[|\]$/g, '')
  return endpointAt(address, Number(id.slice(at + 1)), { cluster: 'DEFAULT', ...change })
}

export interface RecordingLog extends AdapterLog {
  readonly lines: { level: string; fields: object; message: string }[]
}

export function recordingLog(): RecordingLog {
  const lines: RecordingLog['lines'] = []
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message })
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

export interface RecordingMetrics extends AdapterMetrics {
  total(name: string): number
}

export function recordingMetrics(): RecordingMetrics {
  const totals = new Map<string, number>()
  return {
    count: (name, _labels, amount = 1) => void totals.set(name, (totals.get(name) ?? 0) + amount),
    gauge: (name, _labels, value) => void totals.set(name, value),
    total: (name) => totals.get(name) ?? 0,
  }
}
