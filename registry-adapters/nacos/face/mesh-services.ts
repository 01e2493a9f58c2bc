/**
 * Services as this host sees them: where each is reached, asked of the mesh when somebody wants it and let go when
 * nobody does.
 */
import { isDeepStrictEqual } from 'node:util'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import { metadataKeys, serviceKey } from '../../../contracts/endpoint.ts'
import type { Subscription } from '../../../contracts/registry-adapter.ts'
import type { Holder } from '../../../guard/caller.ts'
import type { ServiceView } from '../server/backend.ts'
import type { FaceDeps, FaceEndpoint } from './face-deps.ts'
import { NacosFault } from '../server/fault.ts'
import { defaultCluster } from '../server/instance.ts'
import { groupedName } from '../server/service-name.ts'
import { dialableAddress, dubboMetadata } from './dubbo-metadata.ts'
import { WatchTable } from './watch-table.ts'
import type { Watched } from './watch-table.ts'

export interface MeshServicesOptions {
  readonly maxServices: number
  readonly maxServicesPerUser: number
  /** How long a question waits for the registry's first answer; ms. */
  readonly firstAnswerMs: number
  /** How long a service that nobody asks for stays subscribed; ms. */
  readonly idleMs: number
}

interface Subject extends Watched {
  readonly listeners: Set<() => void>
  readonly answered: Promise<void>
  readonly markAnswered: () => void
  /** undefined = no answer yet. */
  endpoints: readonly FaceEndpoint[] | undefined
}

export class MeshServices {
  private readonly deps: Pick<FaceDeps, 'subscribeService' | 'clock'>
  private readonly options: MeshServicesOptions
  private readonly subjects: WatchTable<Subject>

  constructor(deps: Pick<FaceDeps, 'subscribeService' | 'clock'>, options: MeshServicesOptions) {
    this.deps = deps
    this.options = options
    const { idleMs, maxServices: most, maxServicesPerUser: mostPerUser } = options
    const now = (): number => deps.clock.monotonic()
    this.subjects = new WatchTable({ limit: 'maxServices', most, mostPerUser, idleMs, now })
  }

  get size(): number {
    return this.subjects.size
  }

  async view(service: ServiceName, holder: Holder): Promise<ServiceView> {
    const subject = this.subject(service, holder)
    if (subject.endpoints === undefined) {
      let cancel: (() => void) | undefined
      const timeout = new Promise<void>((resolve) => {
        cancel = this.deps.clock.after(this.options.firstAnswerMs, resolve)
      })
      await Promise.race([subject.answered, timeout])
      cancel?.()
    }
    const { endpoints } = subject
    if (endpoints === undefined) {
      throw new NacosFault('server', `${groupedName(service)}: the registry has not answered yet; ask again`)
    }
    const instances = endpoints.map((endpoint) => ({
      ip: dialableAddress(endpoint.metadata, endpoint.address),
      port: endpoint.port,
      weight: 1,
      healthy: true,
      enabled: true,
      ephemeral: true,
      cluster: defaultCluster,
      metadata: shownMetadata(endpoint),
    }))
    return { service, instances, protectThreshold: 0, metadata: {}, isAnyCluster: true }
  }

  subscribe(service: ServiceName, onChange: () => void, holder: Holder): Subscription {
    const subject = this.subject(service, holder)
    const rest = this.subjects.listen(serviceKey(service), holder)
    const listener = (): void => onChange()
    subject.listeners.add(listener)
    return {
      unsubscribe: () => {
        if (subject.listeners.delete(listener)) rest()
      },
    }
  }

  /** Lets go what nobody wants any more. */
  sweep(): void {
    this.subjects.sweep()
  }

  close(): void {
    this.subjects.close()
  }

  private subject(service: ServiceName, holder: Holder): Subject {
    return this.subjects.take(
      serviceKey(service),
      holder,
      () => {
        const { promise: answered, resolve: markAnswered } = Promise.withResolvers<void>()
        return {
          listeners: new Set(),
          answered,
          markAnswered,
          upstream: undefined,
          endpoints: undefined,
        }
      },
      (subject) =>
        this.deps.subscribeService(service, {
          onEndpoints: (endpoints) => {
            const former = subject.endpoints
            subject.endpoints = endpoints
            subject.markAnswered()
            if (former !== undefined && isDeepStrictEqual(former, endpoints)) return
            for (const listener of subject.listeners) listener()
          },
        }),
    )
  }
}

/** What belongs to the announced instance alone does not describe ours. */
function shownMetadata({ metadata, port }: FaceEndpoint): Record<string, string> {
  const own: readonly string[] = [metadataKeys.inbound, metadataKeys.appPort, metadataKeys.mtls]
  const shown = Object.fromEntries(
    Object.entries(metadata).filter(([key]) => !own.includes(key) && !key.startsWith('preserved.')),
  )
  return dubboMetadata(shown, Number(metadata[metadataKeys.appPort]), port)
}
