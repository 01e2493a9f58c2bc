/** What a center announces for the applications of one host whose control is dead: their own addresses and ports. */
import { metadataKeys } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import { isLoopback } from '../../contracts/ip-literal.ts'
import type { HostReport } from '../../contracts/host-report.ts'
import type { Registration, RegistrationHandle, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import type { FaceApplication } from '../../registry-adapters/nacos/face/index.ts'

export interface HostRegistrationsDeps {
  /** Where they are announced; undefined = nowhere. */
  registry(): RegistryAdapter | undefined
  /** Cluster of that registry, for applications that name none. */
  readonly cluster: string
  /** The newest of the host. */
  report(): HostReport
  onChange(): void
}

const deregisterDeadlineMs = 5000

export class HostRegistrations {
  private readonly deps: HostRegistrationsDeps
  private readonly announced = new Map<string, RegistrationHandle>()

  constructor(deps: HostRegistrationsDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.announced.size
  }

  /** Also of one that is announced already. Throws a MeshError where there is no registry to announce it in. */
  put(application: FaceApplication): void {
    const { weight, healthy, enabled, metadata, ...at } = this.registrationOf(application)
    const present = this.announced.get(application.id)
    if (present !== undefined) {
      present.update({ weight, healthy, enabled, metadata })
      return
    }
    const registry = this.deps.registry()
    if (registry === undefined)
      throw new MeshError('E_APPLICATION_REFUSED', `${application.id}: this center has no registry to announce it in`)
    this.announced.set(application.id, registry.register({ ...at, weight, healthy, enabled, metadata }))
    this.deps.onChange()
  }

  async remove(id: string): Promise<void> {
    const handle = this.announced.get(id)
    if (handle === undefined) return
    this.announced.delete(id)
    this.deps.onChange()
    await handle.deregister(deregisterDeadlineMs)
  }

  /** Without a word to the registry: the next center, or the next generation of this one, carries on. */
  release(): void {
    for (const handle of this.announced.values()) handle.release()
    this.announced.clear()
    this.deps.onChange()
  }

  private registrationOf(application: FaceApplication): Registration {
    const { address: host, zone, region } = this.deps.report()
    const { address, cluster, protocol, port, service, weight, enabled, healthy } = application
    const metadata: Record<string, string> = { ...application.metadata }
    if (protocol !== undefined) metadata[metadataKeys.protocol] = protocol
    if (zone !== '') metadata[metadataKeys.zone] ??= zone
    if (region !== '') metadata[metadataKeys.region] ??= region
    return {
      service,
      // loopback of its host is not ours
      address: isLoopback(address) ? host : address,
      port,
      weight,
      cluster: cluster === '' ? this.deps.cluster : cluster,
      healthy,
      enabled,
      metadata,
    }
  }
}
