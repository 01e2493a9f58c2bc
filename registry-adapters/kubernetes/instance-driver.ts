/**
 * Writes local applications back as EndpointSlices of a Service without selector, so that pods call them by the
 * Service's name. The Service is made where it is missing and never changed where it is there; a slice of ours is one
 * instance. Kubernetes forgets nothing by itself: a host that dies is seen by the age of its last sign of life.
 */
import { createHash } from 'node:crypto'
import { endpointId } from '../../contracts/endpoint.ts'
import type { Registration } from '../../contracts/registry-adapter.ts'
import type { RegistrationDriver } from '../kept-registration.ts'
import { metadataAnnotation, serviceLabel } from './endpoint-slices.ts'
import { slicesOf } from './kubernetes-api.ts'
import type { KubernetesApi } from './kubernetes-api.ts'
import { applyOwned, isManaged, managedByLabel, manager, removeOwned, renewedAnnotation } from './ownership.ts'

/** ms between signs of life. */
export const renewMs = 30_000

export class InstanceDriver implements RegistrationDriver {
  readonly renewMs = renewMs
  private readonly api: KubernetesApi
  private readonly now: () => number

  constructor(api: KubernetesApi, now: () => number) {
    this.api = api
    this.now = now
  }

  async write(registration: Registration, signal: AbortSignal): Promise<void> {
    const { service, port } = registration
    const servicePath = `/api/v1/namespaces/${service.group}/services/${service.name}`
    if ((await this.api.read(servicePath, signal)) === undefined)
      await this.api.create(
        servicePath,
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: service.name, labels: { [managedByLabel]: manager } },
          spec: { ports: [{ name: 'mesh', port: 80, targetPort: port, protocol: 'TCP' }] },
        },
        signal,
      )
    await this.writeSlice(registration, signal)
  }

  async renew(registration: Registration, signal: AbortSignal): Promise<'ok' | 'unknown'> {
    if (!isManaged(await this.api.read(pathOf(registration), signal))) return 'unknown'
    await this.writeSlice(registration, signal)
    return 'ok'
  }

  async remove(registration: Registration, signal: AbortSignal): Promise<void> {
    await removeOwned(this.api, pathOf(registration), signal)
  }

  private async writeSlice(registration: Registration, signal: AbortSignal): Promise<void> {
    const { service, address, port, weight, healthy, enabled, metadata } = registration
    const known = { ...metadata, 'hostmesh.weight': String(weight) }
    const isReady = healthy && enabled && weight > 0
    const labels = {
      [serviceLabel]: service.name,
      'endpointslice.kubernetes.io/managed-by': manager,
      [managedByLabel]: manager,
    }
    const fixed = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: instanceName(registration), labels },
      addressType: address.includes(':') ? 'IPv6' : 'IPv4',
    }
    const annotations = {
      [metadataAnnotation]: JSON.stringify(known),
      [renewedAnnotation]: new Date(this.now()).toISOString(),
    }
    await applyOwned(
      this.api,
      pathOf(registration),
      {
        ...fixed,
        metadata: { ...fixed.metadata, annotations },
        ports: [{ name: 'mesh', port, protocol: 'TCP' }],
        endpoints: [
          {
            addresses: [address],
            conditions: { ready: isReady, serving: isReady, terminating: false },
            ...(metadata['zone'] === undefined ? {} : { zone: metadata['zone'] }),
          },
        ],
      },
      { ...fixed, endpoints: [] },
      signal,
    )
  }
}

function pathOf(registration: Registration): string {
  return `${slicesOf(registration.service.group)}/${instanceName(registration)}`
}

/** The same after a restart; a name that Kubernetes takes, whatever the address is. */
export function instanceName(registration: Registration): string {
  const mark = createHash('sha256').update(endpointId(registration)).digest('hex').slice(0, 10)
  return `${registration.service.name.slice(0, 200)}-hostmesh-${mark}`
}
