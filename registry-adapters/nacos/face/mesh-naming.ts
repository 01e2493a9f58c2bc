/**
 * Naming with the mesh behind it. What local clients register is kept in a store with Nacos's rules of life, and each
 * change of it is carried to control: register, update, deregister, in order per service. What is discovered is the
 * localhost port.
 */
import type { ServiceName } from '../../../contracts/endpoint.ts'
import { serviceKey } from '../../../contracts/endpoint.ts'
import { MeshError, describeError } from '../../../contracts/errors.ts'
import type { Subscription } from '../../../contracts/registry-adapter.ts'
import type { Holder } from '../../../guard/caller.ts'
import type { InstanceAddress, InstanceChange, ServiceView } from '../server/backend.ts'
import type { FaceApplication, FaceDeps } from './face-deps.ts'
import { NacosFault } from '../server/fault.ts'
import type { NacosInstance } from '../server/instance.ts'
import type { NacosLimits } from '../server/limits.ts'
import { NamingStore } from '../server/naming-store.ts'
import { applicationOf, checkLocal, checkMeshName, instanceOf } from './application.ts'
import { MeshServices } from './mesh-services.ts'

export interface MeshNamingOptions {
  readonly limits: NacosLimits
  /** How long the applications of a broken connection stay announced, for a client that connects again; ms. */
  readonly connectionGraceMs: number
  /** The same for applications of an earlier face; ms. */
  readonly reconnectGraceMs: number
  readonly firstAnswerMs: number
  readonly idleMs: number
}

const listTimeoutMs = 5_000

/** Owner of what an earlier face had registered, until its clients are back. */
const formerFace = 'former face'

/** Asked by whoever has looked whether the caller may. */
export class MeshNaming {
  private readonly deps: FaceDeps
  private readonly options: MeshNamingOptions
  private readonly store: NamingStore
  private readonly services: MeshServices
  /** What control was told, by id. */
  private readonly announced = new Map<string, FaceApplication>()
  /** Why control refused an application. */
  private readonly refused = new Map<string, unknown>()
  /** The end of the work under way, by service. */
  private readonly chains = new Map<string, Promise<void>>()
  /** Services where control could not be told everything. */
  private readonly unsettled = new Map<string, ServiceName>()
  private isFrozen = false

  constructor(deps: FaceDeps, options: MeshNamingOptions) {
    this.deps = deps
    this.options = options
    const { limits, connectionGraceMs, firstAnswerMs, idleMs } = options
    const { maxServices, maxServicesPerUser } = limits
    this.services = new MeshServices(deps, { maxServices, maxServicesPerUser, firstAnswerMs, idleMs })
    this.store = new NamingStore({
      now: () => deps.clock.monotonic(),
      limits,
      connectionGraceMs,
      onServiceChange: (service) => void this.carry(service),
    })
  }

  /** Takes over what an earlier face had registered. */
  restore(applications: readonly FaceApplication[]): void {
    for (const application of applications) {
      const instance = instanceOf(application)
      const { service } = application
      const known = applicationOf(service, instance)
      if (known === undefined) continue
      const { id } = known
      this.announced.set(id, known)
      const former = application.ephemeral ? `${formerFace} ${id}` : undefined
      this.store.put(service, [instance], former)
      if (former !== undefined) this.store.connectionGone(former, this.options.reconnectGraceMs)
    }
  }

  async register(
    service: ServiceName,
    instances: readonly NacosInstance[],
    connection: string | undefined,
  ): Promise<void> {
    checkMeshName(service)
    const local = instances.map((instance) => checkLocal(instance, (address) => this.deps.isLocalAddress(address)))
    await this.store.register(service, local, connection)
    await this.carry(service)
    for (const instance of local) {
      const id = applicationOf(service, instance)?.id
      const refusal = id === undefined ? undefined : this.refused.get(id)
      if (refusal === undefined) continue
      await this.store.deregister(service, instance, connection)
      const isDenied = refusal instanceof MeshError && refusal.code === 'E_APPLICATION_REFUSED'
      throw new NacosFault(isDenied ? 'denied' : 'server', describeError(refusal), { cause: refusal })
    }
  }

  async deregister(service: ServiceName, instance: NacosInstance, connection: string | undefined): Promise<void> {
    const ip = instance.ip === 'localhost' ? '127.0.0.1' : instance.ip
    await this.store.deregister(service, { ...instance, ip }, connection)
    await this.carry(service)
  }

  async beat(service: ServiceName, address: InstanceAddress): Promise<boolean> {
    return await this.store.beat(service, address)
  }

  async change(service: ServiceName, address: InstanceAddress, change: InstanceChange): Promise<boolean> {
    const isKnown = await this.store.change(service, address, change)
    await this.carry(service)
    return isKnown
  }

  connectionGone(connection: string): void {
    this.store.connectionGone(connection)
  }

  async query(service: ServiceName, holder: Holder): Promise<ServiceView> {
    checkMeshName(service)
    return await this.services.view(service, holder)
  }

  subscribe(service: ServiceName, onChange: () => void, holder: Holder): Subscription {
    checkMeshName(service)
    return this.services.subscribe(service, onChange, holder)
  }

  async list(namespace: string, group: string | undefined): Promise<readonly ServiceName[]> {
    const { maxServices } = this.options.limits
    const all = await this.deps.listServices(namespace, maxServices, AbortSignal.timeout(listTimeoutMs))
    return all
      .filter((service) => group === undefined || service.group === group)
      .sort((a, b) => (serviceKey(a) < serviceKey(b) ? -1 : 1))
  }

  createService(): Promise<void> {
    return this.notHere()
  }

  updateService(): Promise<void> {
    return this.notHere()
  }

  deleteService(): Promise<void> {
    return this.notHere()
  }

  sweep(): void {
    this.store.sweep()
    this.services.sweep()
    for (const service of this.unsettled.values()) void this.carry(service)
  }

  /** Instances of the service that clients of this host have registered. */
  registered(service: ServiceName): readonly NacosInstance[] {
    return this.store.view(service)?.instances ?? []
  }

  /**
   * Users that have the service, in any spelling: Host has no case, so that whoever has another spelling of a name may
   * get its calls.
   */
  ownersOf(service: ServiceName): number[] {
    const key = serviceKey(service).toLowerCase()
    const owners = this.registered(service).flatMap(({ owner }) => owner ?? [])
    for (const { owner, service: other } of this.announced.values())
      if (owner !== undefined && serviceKey(other).toLowerCase() === key) owners.push(owner)
    return owners
  }

  /** How many applications of this user are announced. */
  ownedBy(uid: number): number {
    let count = 0
    for (const { owner } of this.announced.values()) if (owner === uid) count++
    return count
  }

  counts(): { services: number; instances: number } {
    return { services: this.services.size, instances: this.announced.size }
  }

  /** From now on control hears nothing more: what ends with our connections is for the next face to keep. */
  freeze(): void {
    this.isFrozen = true
  }

  /** Lets go of subscriptions once the work under way has ended. Takes no application back. */
  async close(): Promise<void> {
    this.services.close()
    await Promise.all(this.chains.values())
  }

  private notHere(): Promise<void> {
    return Promise.reject(
      new NacosFault('unsupported', 'service settings live in the real registry; change them there'),
    )
  }

  /** Brings control to the state of the store; resolves when that is done or has failed. Never rejects. */
  private carry(service: ServiceName): Promise<void> {
    const key = serviceKey(service)
    const work = (this.chains.get(key) ?? Promise.resolve()).then(() => this.settle(service))
    this.chains.set(key, work)
    void work.finally(() => {
      if (this.chains.get(key) === work) this.chains.delete(key)
    })
    return work
  }

  private async settle(service: ServiceName): Promise<void> {
    if (this.isFrozen) return
    const key = serviceKey(service)
    const wanted = new Map<string, FaceApplication>()
    for (const instance of this.store.view(service)?.instances ?? []) {
      const application = applicationOf(service, instance)
      if (application !== undefined) wanted.set(application.id, application)
    }
    this.unsettled.delete(key)
    for (const application of wanted.values()) await this.announce(application, key)
    for (const [id, application] of this.announced) {
      if (serviceKey(application.service) !== key || wanted.has(id)) continue
      await this.attempt(key, service, `${id}: not taken back yet`, async () => {
        await this.deps.deregisterApplication(id)
        this.announced.delete(id)
      })
    }
    for (const id of this.refused.keys()) {
      if (id.startsWith(`${key} `) && !wanted.has(id)) this.refused.delete(id)
    }
  }

  private async announce(application: FaceApplication, key: string): Promise<void> {
    const { id, service } = application
    const former = this.announced.get(id)
    if (former === undefined) {
      try {
        await this.deps.registerApplication(application)
        this.announced.set(id, application)
        this.refused.delete(id)
        this.deps.log.info({ application: id }, `${id}: registered by a Nacos client`)
      } catch (error) {
        this.refused.set(id, error)
        this.deps.metrics.count('nacos_face_refused', { bound: 'application' })
        this.deps.log.warn({ application: id }, `${id}: refused: ${describeError(error)}`)
      }
      return
    }
    if (JSON.stringify(former) === JSON.stringify(application)) return
    await this.attempt(key, service, `${id}: change not announced yet`, async () => {
      await this.deps.updateApplication(application)
      this.announced.set(id, application)
    })
  }

  /** What fails is tried again at the next sweep. */
  private async attempt(key: string, service: ServiceName, problem: string, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      this.unsettled.set(key, service)
      this.deps.log.warn({}, `${problem}: ${describeError(error)}; tried again`)
    }
  }
}
