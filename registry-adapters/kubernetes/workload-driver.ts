/**
 * Writes local applications back as Istio's WorkloadEntries, one per instance, and the ServiceEntry that takes them by
 * label, so that pods with sidecars call them by `NAME.NAMESPACE.svc.cluster.local`. A ServiceEntry that somebody else
 * made is left as it is: it takes the instances when its selector says `app: NAME`. Source: networking.istio.io/v1,
 * ServiceEntry and WorkloadEntry.
 */
import { metadataKeys } from '../../contracts/endpoint.ts'
import type { Registration } from '../../contracts/registry-adapter.ts'
import type { RegistrationDriver } from '../kept-registration.ts'
import { instanceName, renewMs } from './instance-driver.ts'
import type { KubernetesApi } from './kubernetes-api.ts'
import { applyOwned, isManaged, managedByLabel, manager, removeOwned, renewedAnnotation } from './ownership.ts'

/** Source: Kubernetes, "Labels and Selectors". */
const labelValue = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/
const labelName = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/
const httpProtocols = new Set(['http', 'websocket'])

export class WorkloadDriver implements RegistrationDriver {
  readonly renewMs = renewMs
  private readonly api: KubernetesApi
  private readonly now: () => number
  private readonly clusterDomain: string

  constructor(api: KubernetesApi, now: () => number, clusterDomain = 'cluster.local') {
    this.api = api
    this.now = now
    this.clusterDomain = clusterDomain
  }

  async write(registration: Registration, signal: AbortSignal): Promise<void> {
    // Istio knows no unhealthy entry: it is not there
    if (!isWell(registration)) return this.remove(registration, signal)
    const { service, metadata, port } = registration
    const entryPath = pathOf('serviceentries', service.group, service.name)
    if ((await this.api.read(entryPath, signal)) === undefined) {
      const isHttp = httpProtocols.has(metadata[metadataKeys.protocol] ?? 'http')
      await this.api.create(
        entryPath,
        {
          apiVersion,
          kind: 'ServiceEntry',
          metadata: { name: service.name, labels: { [managedByLabel]: manager } },
          spec: {
            hosts: [`${service.name}.${service.group}.svc.${this.clusterDomain}`],
            location: 'MESH_INTERNAL',
            resolution: 'STATIC',
            ports: [
              {
                number: isHttp ? 80 : port,
                name: isHttp ? 'http-mesh' : 'tcp-mesh',
                protocol: isHttp ? 'HTTP' : 'TCP',
              },
            ],
            workloadSelector: { labels: { app: service.name } },
          },
        },
        signal,
      )
    }
    await this.writeEntry(registration, signal)
  }

  async renew(registration: Registration, signal: AbortSignal): Promise<'ok' | 'unknown'> {
    if (!isWell(registration)) return 'ok'
    const path = pathOf('workloadentries', registration.service.group, instanceName(registration))
    if (!isManaged(await this.api.read(path, signal))) return 'unknown'
    await this.writeEntry(registration, signal)
    return 'ok'
  }

  async remove(registration: Registration, signal: AbortSignal): Promise<void> {
    await removeOwned(
      this.api,
      pathOf('workloadentries', registration.service.group, instanceName(registration)),
      signal,
    )
  }

  private writeEntry(registration: Registration, signal: AbortSignal): Promise<void> {
    const { service, address, port, weight, metadata } = registration
    const { region = '', zone = '' } = metadata
    const labels: Record<string, string> = {}
    for (const [name, value] of Object.entries(metadata))
      if (labelName.test(name) && labelValue.test(value)) labels[name] = value
    const isHttp = httpProtocols.has(metadata[metadataKeys.protocol] ?? 'http')
    const fixed = {
      apiVersion,
      kind: 'WorkloadEntry',
      metadata: { name: instanceName(registration), labels: { [managedByLabel]: manager, app: service.name } },
    }
    const annotations = { [renewedAnnotation]: new Date(this.now()).toISOString() }
    return applyOwned(
      this.api,
      pathOf('workloadentries', service.group, instanceName(registration)),
      {
        ...fixed,
        metadata: { ...fixed.metadata, annotations },
        spec: {
          address,
          ports: { [isHttp ? 'http-mesh' : 'tcp-mesh']: port },
          labels: { ...labels, app: service.name },
          // whole numbers from 1 on
          weight: Math.max(1, Math.round(weight)),
          ...(region === '' && zone === '' ? {} : { locality: zone === '' ? region : `${region}/${zone}` }),
        },
      },
      { ...fixed, spec: { address, labels: { app: service.name } } },
      signal,
    )
  }
}

const apiVersion = 'networking.istio.io/v1'

function pathOf(plural: 'serviceentries' | 'workloadentries', namespace: string, name: string): string {
  return `/apis/${apiVersion}/namespaces/${namespace}/${plural}/${name}`
}

function isWell({ healthy, enabled, weight }: Registration): boolean {
  return healthy && enabled && weight > 0
}
