/** Registries that know names only: all their services have one namespace and group in the mesh. */
import { parseServiceName, serviceKey } from '../contracts/endpoint.ts'
import type { ServiceKey, ServiceName } from '../contracts/endpoint.ts'
import { MeshError } from '../contracts/errors.ts'

export class OneGroup {
  private readonly registry: string
  private readonly namespace: string
  private readonly group: string

  constructor({ name, namespace, group }: { name: string; namespace: string; group: string }) {
    this.registry = name
    this.namespace = namespace
    this.group = group
  }

  has(service: ServiceName): boolean {
    return service.namespace === this.namespace && service.group === this.group
  }

  /** Throws E_CONFIG_INVALID for a service that cannot be registered there. */
  check(service: ServiceName): void {
    if (!this.has(service))
      throw new MeshError(
        'E_CONFIG_INVALID',
        `${serviceKey(service)}: registry ${this.registry} has one namespace and group, ${this.namespace}/${this.group}`,
      )
  }

  keyOf(name: string): ServiceKey {
    return serviceKey({ namespace: this.namespace, group: this.group, name })
  }

  /** Those of `names` that can be names of services, in order, at most `limit`. */
  keys(names: Iterable<string>, limit: number): ServiceKey[] {
    return [...names]
      .filter((name) => parseServiceName(name) !== undefined)
      .sort()
      .slice(0, limit)
      .map((name) => this.keyOf(name))
  }
}
