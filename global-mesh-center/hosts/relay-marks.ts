/**
 * What a center knows of silent hosts, for the traffic that it carries itself: instances that do not answer are
 * unhealthy for its own workers as they are for agents, down to the protected share.
 */
import type { Control } from '../../agent/control/control.ts'
import { endpointId, type Endpoint, type EndpointSet } from '../../contracts/endpoint.ts'
import type { Place } from './silent-hosts.ts'
import { withUnhealthy, type UnhealthyInstances } from './unhealthy-instances.ts'

export interface RelayMarksDeps {
  readonly unhealthy: UnhealthyInstances
  /** 0..1. */
  readonly share: number
  readonly core: {
    readonly compiler: Pick<Control['core']['compiler'], 'judgeBy' | 'tellAgain'>
    readonly store: Pick<Control['core']['store'], 'allServices'>
  }
}

export class RelayMarks {
  private readonly deps: RelayMarksDeps

  constructor(deps: RelayMarksDeps) {
    this.deps = deps
    const { core, share, unhealthy } = deps
    core.compiler.judgeBy((set) => judged(set, unhealthy, share))
    unhealthy.onChange(() => core.compiler.tellAgain())
  }

  /** Of services that its workers use, each once. */
  instancesAt(addresses: ReadonlySet<string>): readonly Place[] {
    const found = new Map<string, Endpoint>()
    for (const { endpoints } of this.deps.core.store.allServices())
      for (const endpoint of endpoints.endpoints)
        if (addresses.has(endpoint.address)) found.set(endpointId(endpoint), endpoint)
    return [...found.values()].map(({ address, port }) => ({ address, port }))
  }
}

function judged(set: EndpointSet, unhealthy: UnhealthyInstances, share: number): EndpointSet {
  const { endpoints } = withUnhealthy(set.endpoints, unhealthy, share)
  return endpoints === set.endpoints ? set : { ...set, endpoints }
}
