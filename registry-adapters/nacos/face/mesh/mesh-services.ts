/** Services as this host sees them: one loopback endpoint each, asked of the mesh when somebody wants it and let go when nobody does. */
import { isDeepStrictEqual } from 'node:util'
import type { ServiceKey, ServiceName } from '../../../../contracts/endpoint.ts'
import { metadataKeys, serviceKey } from '../../../../contracts/endpoint.ts'
import type { Subscription } from '../../../../contracts/registry-adapter.ts'
import type { ServiceView } from '../backend.ts'
import type { FaceDeps, FaceEndpoint } from '../face-deps.ts'
import { NacosFault, overLimit } from '../fault.ts'
import { defaultCluster } from '../instance.ts'
import { groupedName } from '../service-name.ts'
import { dialableAddress, dubboMetadata } from './dubbo-metadata.ts'

export interface MeshServicesOptions {
  readonly maxServices: number
  /** How long a question waits for the registry's first answer; ms. */
  readonly firstAnswerMs: number
  /** How long a service that nobody asks for stays subscribed; ms. */
  readonly idleMs: number
}

interface Subject {
  readonly service: ServiceName
  readonly listeners: Set<() => void>
  readonly answered: Promise<void>
  upstream: Subscription | undefined
  /** undefined = no answer yet; `none` = no instance. */
  endpoint: FaceEndpoint | 'none' | undefined
  usedAt: number
}

export class MeshServices {
  readonly #deps: Pick<FaceDeps, 'subscribeService' | 'now'>
  readonly #options: MeshServicesOptions
  readonly #subjects = new Map<ServiceKey, Subject>()

  constructor(deps: Pick<FaceDeps, 'subscribeService' | 'now'>, options: MeshServicesOptions) {
    this.#deps = deps
    this.#options = options
  }

  get size(): number {
    return this.#subjects.size
  }

  async view(service: ServiceName): Promise<ServiceView> {
    const subject = this.#subject(service)
    subject.usedAt = this.#deps.now()
    if (subject.endpoint === undefined) {
      let timer: NodeJS.Timeout | undefined
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, this.#options.firstAnswerMs)
      })
      await Promise.race([subject.answered, timeout])
      clearTimeout(timer)
    }
    const { endpoint } = subject
    if (endpoint === undefined) {
      throw new NacosFault('server', `${groupedName(service)}: the registry has not answered yet; ask again`)
    }
    const instances =
      endpoint === 'none'
        ? []
        : [
            {
              ip: dialableAddress(endpoint.metadata, endpoint.address),
              port: endpoint.port,
              weight: 1,
              healthy: true,
              enabled: true,
              ephemeral: true,
              cluster: defaultCluster,
              metadata: shownMetadata(endpoint),
            },
          ]
    return { service, instances, protectThreshold: 0, metadata: {}, isAnyCluster: true }
  }

  subscribe(service: ServiceName, onChange: () => void): Subscription {
    const subject = this.#subject(service)
    const listener = (): void => onChange()
    subject.listeners.add(listener)
    return {
      unsubscribe: () => {
        subject.listeners.delete(listener)
        subject.usedAt = this.#deps.now()
      },
    }
  }

  /** Lets go what nobody wants any more. */
  sweep(): void {
    const now = this.#deps.now()
    for (const [key, subject] of this.#subjects) {
      if (subject.listeners.size > 0 || now - subject.usedAt < this.#options.idleMs) continue
      subject.upstream?.unsubscribe()
      this.#subjects.delete(key)
    }
  }

  close(): void {
    for (const subject of this.#subjects.values()) subject.upstream?.unsubscribe()
    this.#subjects.clear()
  }

  #subject(service: ServiceName): Subject {
    const key = serviceKey(service)
    const known = this.#subjects.get(key)
    if (known !== undefined) return known
    const { maxServices } = this.#options
    if (this.#subjects.size >= maxServices) throw overLimit('maxServices', this.#subjects.size + 1, maxServices)
    let markAnswered = (): void => {}
    const subject: Subject = {
      service,
      listeners: new Set(),
      answered: new Promise((resolve) => {
        markAnswered = resolve
      }),
      upstream: undefined,
      endpoint: undefined,
      usedAt: this.#deps.now(),
    }
    this.#subjects.set(key, subject)
    subject.upstream = this.#deps.subscribeService(service, {
      onEndpoint: (endpoint) => {
        const former = subject.endpoint
        subject.endpoint = endpoint ?? 'none'
        markAnswered()
        if (former !== undefined && isDeepStrictEqual(former, subject.endpoint)) return
        for (const listener of subject.listeners) listener()
      },
    })
    return subject
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
