/**
 * The registry itself, for mode `direct`: endpoints of the services that are called in it, and the key of the mode.
 */
import type { Clock } from '../../contracts/clock.ts'
import type { Endpoint, EndpointSet } from '../../contracts/endpoint.ts'
import { endpointId, isAgentInbound, metadataKeys, parseServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps, Registration, RegistrationHandle, Subscription } from '../../contracts/registry-adapter.ts'
import { createHttpNacosAdapter } from '../../registry-adapters/nacos/over-http.ts'
import type { NacosAdapter } from '../../registry-adapters/nacos/over-http.ts'
import type { MeshLog, NacosOptions } from '../options.ts'

export type { NacosAdapter }

export interface NacosSourceDeps {
  readonly clock: Clock
  readonly random: () => number
  readonly log: MeshLog
  readonly options: NacosOptions
  /** Endpoints of an earlier run, by name. */
  readonly kept: Readonly<Record<string, readonly string[]>>
  readonly onChange: () => void
}

/** One endpoint as it is called, and how often beside others. */
export interface Weighted {
  readonly address: string
  readonly weight: number
}

interface Subject {
  readonly subscription: Subscription
  endpoints: readonly Weighted[]
  /** The registry has spoken, not only the file of an earlier run. */
  isHeard: boolean
}

/** Services that are subscribed at once. */
const maxServices = 2000
/** Endpoints of a service that are used. */
const maxEndpoints = 1000

export class NacosSource {
  readonly adapter: NacosAdapter
  private readonly deps: NacosSourceDeps
  private readonly subjects = new Map<string, Subject>()

  constructor(deps: NacosSourceDeps) {
    this.deps = deps
    const { options, clock, random, log } = deps
    this.adapter = nacosAdapter('nacos', options, { clock, random, log })
  }

  start(): void {
    this.adapter.start()
  }

  /** Subscribes where that is not done yet. Throws E_OVERLOAD at the bound, E_ROUTE_NAME_NOT_ALLOWED for no name. */
  want(name: string): void {
    if (this.subjects.has(name)) return
    if (this.subjects.size >= maxServices)
      throw new MeshError('E_OVERLOAD', `${name}: ${maxServices} services are called directly already`)
    const { options, kept, onChange } = this.deps
    const service = serviceOf(name, options)
    const subject: Subject = {
      endpoints: (Object.hasOwn(kept, name) ? kept[name]! : []).map((address) => ({ address, weight: 1 })),
      isHeard: false,
      subscription: this.adapter.subscribe(service, {
        onEndpoints: (set) => {
          subject.endpoints = usable(set)
          subject.isHeard = true
          onChange()
        },
        onStale: () => undefined,
      }),
    }
    this.subjects.set(name, subject)
  }

  drop(name: string): void {
    this.subjects.get(name)?.subscription.unsubscribe()
    this.subjects.delete(name)
  }

  /** Of a service that is wanted: what is known; empty = nothing. */
  endpoints(name: string): readonly Weighted[] {
    return this.subjects.get(name)?.endpoints ?? []
  }

  isHeard(name: string): boolean {
    return this.subjects.get(name)?.isHeard === true
  }

  /** `problem`: why it does not answer, or refuses what it is asked, in words. */
  get state(): { readonly isConnected: boolean; readonly problem: string | undefined } {
    const { connected, problem } = this.adapter.status()
    return { isConnected: connected, problem: problem?.message }
  }

  register(registration: Registration): RegistrationHandle {
    return this.adapter.register(registration)
  }

  /** For the file: what the registry said, and what an earlier run knew of others. */
  get kept(): Readonly<Record<string, readonly string[]>> {
    const lists = new Map(Object.entries(this.deps.kept))
    for (const [name, { endpoints, isHeard }] of this.subjects)
      if (isHeard && endpoints.length > 0)
        lists.set(
          name,
          endpoints.map(({ address }) => address),
        )
    return Object.fromEntries([...lists].slice(-maxServices))
  }

  async close(): Promise<void> {
    await this.adapter.close()
  }
}

/** A client of one Nacos, which may be the agent's face. */
export function nacosAdapter(
  name: string,
  options: NacosOptions,
  deps: Pick<AdapterDeps, 'clock' | 'random' | 'log'>,
): NacosAdapter {
  const { servers, namespace, username, password, pollMs, modePollMs } = options
  return createHttpNacosAdapter(
    {
      name,
      servers,
      namespace: namespace ?? 'public',
      credentials:
        username === undefined || password === undefined ? { kind: 'none' } : { kind: 'password', username, password },
      endpoints: {
        allowLoopback: options.allowLoopbackEndpoints ?? false,
        allowLinkLocal: false,
        isOwnPort: () => false,
        maxEndpoints,
      },
      times: {
        configPollMs: modePollMs ?? 2000,
        ...(pollMs === undefined ? {} : { httpPollMs: pollMs }),
      },
    },
    { ...deps, metrics: { count: () => undefined, gauge: () => undefined } },
  )
}

/** As the application calls it, in the registry's terms. Throws E_ROUTE_NAME_NOT_ALLOWED. */
export function serviceOf(name: string, { namespace, group }: Pick<NacosOptions, 'namespace' | 'group'>) {
  const service = parseServiceName(name, { namespace: namespace ?? 'public', group: group ?? 'DEFAULT_GROUP' })
  if (service === undefined)
    throw new MeshError('E_ROUTE_NAME_NOT_ALLOWED', `"${name.slice(0, 64)}" cannot be the name of a service`)
  return service
}

/**
 * Healthy ones; all when too few are (Nacos's protect threshold); those that the newest word lacks only when there is
 * no other. An agent's port that takes TLS alone is nobody that an application can speak to.
 */
function usable(set: EndpointSet): readonly Weighted[] {
  const allowed = set.endpoints.filter((one) => one.enabled && one.weight > 0 && !takesTlsAlone(one))
  const healthy = allowed.filter((one) => one.healthy)
  const isProtected = allowed.length > 0 && healthy.length / allowed.length < set.protectThreshold
  const held = new Set(set.held)
  const named = (isProtected ? allowed : healthy).filter((one) => !held.has(endpointId(one)))
  const chosen = [named, healthy, allowed].find((list) => list.length > 0) ?? []
  return chosen.map((one) => ({ address: endpointId(one), weight: one.weight }))
}

function takesTlsAlone(endpoint: Endpoint): boolean {
  return isAgentInbound(endpoint) && endpoint.metadata[metadataKeys.mtls] === 'strict'
}
