/** A mesh for the face, in memory: remembers what was registered, answers services as told, keeps configuration. */
import { createHash } from 'node:crypto'
import { systemClock } from '../../../contracts/clock.ts'
import type { Clock } from '../../../contracts/clock.ts'
import type { ServiceKey, ServiceName } from '../../../contracts/endpoint.ts'
import { serviceKey } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import type { ConfigDocument, ConfigSource } from '../../../contracts/registry-adapter.ts'
import type { FaceGrant, FacePolicy } from '../../../guard/face-policy.ts'
import type {
  FaceApplication,
  FaceDeps,
  FaceEndpoint,
  FaceServiceListener,
} from '../../../registry-adapters/nacos/face/index.ts'

export class FakeMesh implements FaceDeps {
  clock: Clock = systemClock
  readonly random = Math.random
  readonly log = { debug() {}, info() {}, warn() {}, error() {} }
  readonly counted = new Map<string, number>()
  readonly metrics = {
    count: (name: string, labels: Readonly<Record<string, string>>, amount = 1): void => {
      const key = [name, ...Object.values(labels)].join(' ')
      this.counted.set(key, (this.counted.get(key) ?? 0) + amount)
    },
    gauge() {},
  }
  readonly applications = new Map<string, FaceApplication>()
  /** `+ id`, `~ id`, `- id`, in order. */
  readonly story: string[] = []
  /** Set to refuse registrations. */
  refusal: Error | undefined
  /** What an earlier face had registered; default: what is registered now. */
  restored: readonly FaceApplication[] | undefined
  isSilent = false
  private readonly endpoints = new Map<ServiceKey, FaceEndpoint>()
  private readonly serviceListeners = new Map<ServiceKey, Set<FaceServiceListener>>()
  readonly config = new FakeConfig()

  readonly grants: FaceGrant[] = []
  access: Pick<FacePolicy, 'reads' | 'writes'> = { reads: 'granted', writes: 'granted' }
  readonly trusted = new Set([process.getuid!()])
  /** Who listens, by port. */
  readonly listeners = new Map<number, number>()
  /** Who dials; the owner of the other end where it is not set. */
  caller: number | undefined
  services: string[] = []
  users: (number | undefined)[] = []

  policy(): FacePolicy {
    return { ...this.access, trusted: this.trusted, grants: this.grants, rulesGroups: ['rules'] }
  }

  uidOf(): number | undefined {
    return this.caller ?? process.getuid!()
  }

  uidOfListener(_address: string, port: number): number | undefined {
    return this.listeners.get(port)
  }

  usersOfService(): readonly (number | undefined)[] {
    return this.users
  }

  servicesOfUser(): readonly string[] {
    return this.services
  }

  restoredApplications(): readonly FaceApplication[] {
    return this.restored ?? [...this.applications.values()]
  }

  async registerApplication(application: FaceApplication): Promise<void> {
    if (this.refusal !== undefined) throw this.refusal
    this.applications.set(application.id, application)
    this.story.push(`+ ${application.id}`)
  }

  async updateApplication(application: FaceApplication): Promise<void> {
    this.applications.set(application.id, application)
    this.story.push(`~ ${application.id}`)
  }

  async deregisterApplication(id: string): Promise<void> {
    this.applications.delete(id)
    this.story.push(`- ${id}`)
  }

  subscribeService(service: ServiceName, listener: FaceServiceListener): { unsubscribe(): void } {
    const key = serviceKey(service)
    const listeners = this.serviceListeners.get(key) ?? new Set()
    this.serviceListeners.set(key, listeners.add(listener))
    queueMicrotask(() => {
      if (!this.isSilent && listeners.has(listener)) listener.onEndpoints(this.offered(key))
    })
    return {
      unsubscribe: () => {
        listeners.delete(listener)
        if (listeners.size === 0) this.serviceListeners.delete(key)
      },
    }
  }

  /** Makes the service reachable at a localhost port, or not any more. */
  offer(name: string, port: number | undefined, metadata: Readonly<Record<string, string>> = {}): void {
    const key = serviceKey({ namespace: 'public', group: 'DEFAULT_GROUP', name })
    if (port === undefined) this.endpoints.delete(key)
    else this.endpoints.set(key, { address: '127.0.0.1', port, metadata })
    for (const listener of this.serviceListeners.get(key) ?? []) listener.onEndpoints(this.offered(key))
  }

  private offered(key: ServiceKey): FaceEndpoint[] {
    const endpoint = this.endpoints.get(key)
    return endpoint === undefined ? [] : [endpoint]
  }

  /** Services somebody wants. */
  get wanted(): ServiceKey[] {
    return [...this.serviceListeners.keys()]
  }

  async listServices(namespace: string): Promise<readonly ServiceName[]> {
    return namespace === 'public'
      ? [...this.endpoints.keys()].map((key) => ({
          namespace,
          group: 'DEFAULT_GROUP',
          name: key.slice(key.indexOf('@@') + 2),
        }))
      : []
  }

  configOf(namespace: string): ConfigSource | undefined {
    return namespace === 'public' ? this.config : undefined
  }

  isLocalAddress(address: string): boolean {
    return address.startsWith('127.') || address === '::1' || address === '10.0.0.5'
  }
}

export class FakeConfig implements ConfigSource {
  readonly documents = new Map<string, ConfigDocument>()
  private readonly watchers = new Map<string, Set<(document: ConfigDocument | undefined) => void>>()
  /** Set to fail every call. */
  failure: Error | undefined

  watch(
    group: string,
    dataId: string,
    listener: (document: ConfigDocument | undefined) => void,
  ): { unsubscribe(): void } {
    const id = `${group} ${dataId}`
    const watchers = this.watchers.get(id) ?? new Set()
    this.watchers.set(id, watchers.add(listener))
    queueMicrotask(() => {
      if (watchers.has(listener)) listener(this.documents.get(id))
    })
    return {
      unsubscribe: () => {
        watchers.delete(listener)
        if (watchers.size === 0) this.watchers.delete(id)
      },
    }
  }

  get watched(): string[] {
    return [...this.watchers.keys()]
  }

  async read(group: string, dataId: string): Promise<ConfigDocument | undefined> {
    if (this.failure !== undefined) throw this.failure
    return this.documents.get(`${group} ${dataId}`)
  }

  async publish(
    group: string,
    dataId: string,
    content: string,
    expectedRevision: string | undefined,
  ): Promise<ConfigDocument> {
    if (this.failure !== undefined) throw this.failure
    const id = `${group} ${dataId}`
    if (expectedRevision !== undefined && expectedRevision !== (this.documents.get(id)?.revision ?? ''))
      throw new MeshError('E_REGISTRY_CONFLICT', `${id}: changed meanwhile`)
    const document = { group, dataId, content, revision: createHash('md5').update(content).digest('hex') }
    this.documents.set(id, document)
    for (const watcher of this.watchers.get(id) ?? []) watcher(document)
    return document
  }

  async remove(group: string, dataId: string): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    const id = `${group} ${dataId}`
    this.documents.delete(id)
    for (const watcher of this.watchers.get(id) ?? []) watcher(undefined)
  }
}
