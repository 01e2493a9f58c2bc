/**
 * Registers local applications as keys with a lease each. A successor writes the same key with a lease of its own, so
 * that nobody finds it missing.
 */
import { endpointId, serviceKey } from '../../contracts/endpoint.ts'
import type { Registration } from '../../contracts/registry-adapter.ts'
import type { RegistrationDriver } from '../kept-registration.ts'
import { writePlainInstance } from '../plain-instance.ts'
import type { EtcdApi } from './etcd-api.ts'

export class InstanceDriver implements RegistrationDriver {
  readonly renewMs: number
  private readonly api: EtcdApi
  private readonly prefix: string
  private readonly leaseSeconds: number
  private readonly leases = new Map<string, string>()

  constructor(api: EtcdApi, prefix: string, leaseMs: number) {
    this.api = api
    this.prefix = prefix
    this.leaseSeconds = Math.ceil(leaseMs / 1000)
    this.renewMs = leaseMs / 3
  }

  async write(registration: Registration, signal: AbortSignal): Promise<void> {
    const instance = instanceOf(registration)
    // etcd knows no unhealthy instance: it has no key
    if (!registration.healthy || !registration.enabled) {
      await this.api.remove(this.keyOf(registration), signal)
      return
    }
    const known = this.leases.get(instance)
    const isAlive = known !== undefined && (await this.api.keepAlive(known, signal))
    const lease = isAlive ? known : await this.api.grant(this.leaseSeconds, signal)
    this.leases.set(instance, lease)
    await this.api.put(this.keyOf(registration), writePlainInstance(registration), lease, signal)
  }

  async renew(registration: Registration, signal: AbortSignal): Promise<'ok' | 'unknown'> {
    if (!registration.healthy || !registration.enabled) return 'ok'
    const lease = this.leases.get(instanceOf(registration))
    if (lease === undefined || !(await this.api.keepAlive(lease, signal))) return 'unknown'
    // somebody may have removed the key and left the lease
    const { kvs } = await this.api.list(this.keyOf(registration), signal)
    return kvs.some(({ key }) => key === this.keyOf(registration)) ? 'ok' : 'unknown'
  }

  async remove(registration: Registration, signal: AbortSignal): Promise<void> {
    await this.api.remove(this.keyOf(registration), signal)
    this.leases.delete(instanceOf(registration))
  }

  private keyOf(registration: Registration): string {
    return `${this.prefix}/${registration.service.name}/${endpointId(registration)}`
  }
}

function instanceOf(registration: Registration): string {
  return `${serviceKey(registration.service)} ${endpointId(registration)}`
}
