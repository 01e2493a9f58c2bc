/**
 * Naming behind the policy of the face: who registers, changes and takes back, and how much of the bounds one user may
 * have. Each user may look up every service, so many at a time.
 */
import { serviceKey, type ServiceName } from '../../../contracts/endpoint.ts'
import type { Subscription } from '../../../contracts/registry-adapter.ts'
import type { InstanceAddress, InstanceChange, NamingBackend, ServiceView } from '../server/backend.ts'
import { callerName, type Caller } from '../../../guard/caller.ts'
import { NacosFault, overLimit } from '../server/fault.ts'
import type { NacosInstance } from '../server/instance.ts'
import type { NacosLimits } from '../server/limits.ts'
import type { FaceDeps } from './face-deps.ts'
import type { MeshNaming } from './mesh-naming.ts'
import { announceProblem, holderOf, listenerOf, touchProblem } from '../../../guard/face-policy.ts'

export class GuardedNaming implements NamingBackend {
  private readonly naming: MeshNaming
  private readonly deps: Pick<FaceDeps, 'policy' | 'uidOfListener' | 'usersOfService' | 'metrics' | 'log'>
  private readonly limits: Pick<NacosLimits, 'maxInstancesPerUser'>

  constructor(
    naming: MeshNaming,
    deps: Pick<FaceDeps, 'policy' | 'uidOfListener' | 'usersOfService' | 'metrics' | 'log'>,
    limits: Pick<NacosLimits, 'maxInstancesPerUser'>,
  ) {
    this.naming = naming
    this.deps = deps
    this.limits = limits
  }

  async register(
    service: ServiceName,
    instances: readonly NacosInstance[],
    connection: string | undefined,
    caller: Caller,
  ): Promise<void> {
    for (const instance of instances) this.checkAnnouncement(service, instance, caller)
    this.checkShare(service, instances, caller)
    const owned = instances.map((instance) => ({
      ...instance,
      owner: caller.uid,
      listenerUser: listenerOf(this.deps.policy(), caller, instance.port),
    }))
    await this.naming.register(service, owned, connection)
  }

  async deregister(
    service: ServiceName,
    instance: NacosInstance,
    connection: string | undefined,
    caller: Caller,
  ): Promise<void> {
    this.checkOwner(service, instance, caller)
    await this.naming.deregister(service, instance, connection)
  }

  async beat(service: ServiceName, address: InstanceAddress, caller: Caller): Promise<boolean> {
    this.checkOwner(service, address, caller)
    return await this.naming.beat(service, address)
  }

  async change(
    service: ServiceName,
    address: InstanceAddress,
    change: InstanceChange,
    caller: Caller,
  ): Promise<boolean> {
    this.checkOwner(service, address, caller)
    const instance = this.known(service, address)
    if (instance !== undefined) this.checkAnnouncement(service, { ...instance, ...change }, caller)
    return await this.naming.change(service, address, change)
  }

  connectionGone(connection: string): void {
    this.naming.connectionGone(connection)
  }

  query(service: ServiceName, caller: Caller): Promise<ServiceView> {
    return this.naming.query(service, holderOf(this.deps.policy(), caller))
  }

  subscribe(service: ServiceName, onChange: () => void, caller: Caller): Subscription {
    return this.naming.subscribe(service, onChange, holderOf(this.deps.policy(), caller))
  }

  list(namespace: string, group: string | undefined): Promise<readonly ServiceName[]> {
    return this.naming.list(namespace, group)
  }

  createService(): Promise<void> {
    return this.naming.createService()
  }

  updateService(): Promise<void> {
    return this.naming.updateService()
  }

  deleteService(): Promise<void> {
    return this.naming.deleteService()
  }

  private checkAnnouncement(service: ServiceName, instance: NacosInstance, caller: Caller): void {
    const deps = this.deps
    const at = addressOf(instance)
    const problem = announceProblem(deps.policy(), caller, {
      service: serviceKey(service),
      name: service.name,
      group: service.group,
      port: instance.port,
      weight: instance.weight,
      listener: instance.port === 0 ? undefined : deps.uidOfListener(at, instance.port),
      // a registration of an earlier version has no owner: it is the first one's who comes for it
      holders: [...deps.usersOfService(service, at, instance.port), ...this.naming.ownersOf(service)],
    })
    if (problem !== undefined) throw this.denied(caller, problem)
  }

  private checkOwner(service: ServiceName, address: InstanceAddress, caller: Caller): void {
    const known = this.known(service, address)
    if (known === undefined) return
    const problem = touchProblem(this.deps.policy(), caller, known.owner)
    if (problem !== undefined) throw this.denied(caller, `${service.name} ${address.ip}:${address.port}: ${problem}`)
  }

  /** One user's registrations take ports of everybody's range. */
  private checkShare(service: ServiceName, instances: readonly NacosInstance[], caller: Caller): void {
    if (caller.uid === undefined || this.deps.policy().trusted.has(caller.uid)) return
    const { maxInstancesPerUser } = this.limits
    const fresh = instances.filter((instance) => this.known(service, instance) === undefined).length
    const held = this.naming.ownedBy(caller.uid)
    if (fresh > 0 && held + fresh > maxInstancesPerUser)
      throw overLimit('maxInstancesPerUser', held + fresh, maxInstancesPerUser)
  }

  private known(service: ServiceName, address: InstanceAddress): NacosInstance | undefined {
    const at = addressOf(address)
    return this.naming
      .registered(service)
      .find(({ ip, port, cluster }) => ip === at && port === address.port && cluster === address.cluster)
  }

  private denied(caller: Caller, problem: string): NacosFault {
    this.deps.metrics.count('nacos_face_denied', { what: 'registration' })
    this.deps.log.warn({ caller: callerName(caller) }, `nacos face: refused: ${problem}`)
    return new NacosFault('denied', problem)
  }
}

function addressOf({ ip }: Pick<InstanceAddress, 'ip'>): string {
  return ip === 'localhost' ? '127.0.0.1' : ip
}
