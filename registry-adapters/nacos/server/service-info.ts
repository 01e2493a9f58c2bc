/** The service as clients read it: filtered, protected, in Nacos's field names. */
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { WireInstance } from '../wire/instance.ts'
import type { ServiceView } from './backend.ts'
import type { NacosInstance } from './instance.ts'
import { heartbeatTimes } from './instance.ts'
import { groupedName } from './service-name.ts'

/** Servers leave no field out. */
export interface InstanceJson extends Required<WireInstance> {
  readonly instanceId: string
  readonly serviceName: string
}

export interface ServiceInfoJson {
  readonly name: string
  readonly groupName: string
  readonly clusters: string
  readonly cacheMillis: number
  readonly hosts: readonly InstanceJson[]
  readonly lastRefTime: number
  readonly checksum: string
  readonly allIPs: boolean
  readonly reachProtectionThreshold: boolean
  readonly valid: boolean
}

export interface ServiceInfoOptions {
  /** Comma-separated; '' = all. */
  readonly clusters: string
  readonly healthyOnly: boolean
  /** How long a polling client may keep the answer, ms. */
  readonly cacheMillis: number
  /** Epoch ms; clients ignore an answer older than the one they have. */
  readonly at: number
  /** HTTP answers carry `group@@name` in `name`, gRPC ones the name alone. */
  readonly hasGroupInName: boolean
}

export function instanceId(service: ServiceName, instance: NacosInstance): string {
  return `${instance.ip}#${instance.port}#${instance.cluster}#${groupedName(service)}`
}

export function instanceJson(service: ServiceName, instance: NacosInstance): InstanceJson {
  const times = heartbeatTimes(instance.metadata)
  return {
    instanceId: instanceId(service, instance),
    ip: instance.ip,
    port: instance.port,
    weight: instance.weight,
    healthy: instance.healthy,
    enabled: instance.enabled,
    ephemeral: instance.ephemeral,
    clusterName: instance.cluster,
    serviceName: groupedName(service),
    metadata: instance.metadata,
    instanceHeartBeatInterval: times.interval,
    instanceHeartBeatTimeOut: times.timeout,
    ipDeleteTimeout: times.removal,
  }
}

/** Enabled instances of the wanted clusters (comma-separated; '' = all). */
export function instancesOf(view: ServiceView | undefined, clusters: string): readonly NacosInstance[] {
  const wanted = clusters.split(',').filter((cluster) => cluster !== '')
  const enabled = (view?.instances ?? []).filter((instance) => instance.enabled)
  const [first] = wanted
  if (first === undefined) return enabled
  if (view?.isAnyCluster === true) return enabled.map((instance) => ({ ...instance, cluster: first }))
  return enabled.filter((instance) => wanted.includes(instance.cluster))
}

/**
 * Instances of `instancesOf`. When the healthy share is at or below a protect threshold above 0, all of them are shown
 * as healthy, so that the few healthy ones are not run over; otherwise `healthyOnly` drops the unhealthy ones.
 */
export function serviceInfo(
  service: ServiceName,
  view: ServiceView | undefined,
  options: ServiceInfoOptions,
): ServiceInfoJson {
  const all = instancesOf(view, options.clusters)
  const healthy = all.filter((instance) => instance.healthy)
  const threshold = view?.protectThreshold ?? 0
  const isProtected = threshold > 0 && all.length > 0 && healthy.length / all.length <= threshold
  const shown = isProtected
    ? all.map((instance) => ({ ...instance, healthy: true }))
    : options.healthyOnly
      ? healthy
      : all
  return {
    name: options.hasGroupInName ? groupedName(service) : service.name,
    groupName: service.group,
    clusters: options.clusters,
    cacheMillis: options.cacheMillis,
    hosts: shown.map((instance) => instanceJson(service, instance)),
    lastRefTime: options.at,
    checksum: '',
    allIPs: false,
    reachProtectionThreshold: isProtected,
    valid: true,
  }
}
