/**
 * Talks to a real Nacos server the way its other clients do, without any code of ours: puts instances there and looks
 * what is there.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceName } from '../../../contracts/endpoint.ts'

export interface DrivenInstance {
  readonly address: string
  readonly port: number
  readonly weight?: number
  readonly enabled?: boolean
  readonly healthy?: boolean
  readonly ephemeral?: boolean
  readonly metadata?: Readonly<Record<string, string>>
  readonly cluster?: string
}

export interface SeenInstance {
  readonly ip: string
  readonly port: number
  readonly weight: number
  readonly healthy: boolean
  readonly enabled: boolean
  readonly ephemeral: boolean
  readonly metadata: Readonly<Record<string, string>>
}

export interface NacosDriver {
  /** Stays healthy for minutes without a heartbeat. */
  put(service: ServiceName, instance: DrivenInstance): Promise<void>
  remove(service: ServiceName, instance: DrivenInstance): Promise<void>
  seen(service: ServiceName): Promise<readonly SeenInstance[]>
  /** Clients that are subscribed to it. */
  subscribers(service: ServiceName): Promise<number>
  publish(group: string, dataId: string, content: string): Promise<void>
}

/** `url` is that of the context path, `http://127.0.0.1:8848/nacos`. */
export function nacosDriver(url: string, namespace: string, token?: string): NacosDriver {
  const call = async (method: string, path: string, parameters: Readonly<Record<string, string>>): Promise<string> => {
    const text = new URLSearchParams({
      ...parameters,
      ...(token === undefined ? {} : { accessToken: token }),
    }).toString()
    const response = await fetch(`${url}${path}${method === 'POST' ? '' : `?${text}`}`, {
      method,
      signal: AbortSignal.timeout(5000),
      ...(method === 'POST' ? { body: text, headers: { 'content-type': 'application/x-www-form-urlencoded' } } : {}),
    })
    const answer = await response.text()
    if (response.status !== 200) throw new Error(`${method} ${path}: ${response.status} ${answer}`)
    return answer
  }
  const identity = (service: ServiceName, instance: DrivenInstance): Record<string, string> => ({
    namespaceId: namespace,
    serviceName: `${service.group}@@${service.name}`,
    groupName: service.group,
    ip: instance.address,
    port: String(instance.port),
    clusterName: instance.cluster ?? 'DEFAULT',
    ephemeral: String(instance.ephemeral ?? true),
  })
  return {
    put: async (service, instance) => {
      await call('POST', '/v1/ns/instance', {
        ...identity(service, instance),
        weight: String(instance.weight ?? 1),
        enabled: String(instance.enabled ?? true),
        healthy: String(instance.healthy ?? true),
        metadata: JSON.stringify({
          'preserved.heart.beat.timeout': '300000',
          'preserved.ip.delete.timeout': '600000',
          ...instance.metadata,
        }),
      })
    },
    remove: async (service, instance) => {
      const parameters = identity(service, instance)
      const remove = (): Promise<string> => call('DELETE', '/v1/ns/instance', parameters)
      // a 2.3.1 trips over what it does at the same time for another service of this address; the second word counts
      await remove().catch((error: Error) => {
        if (!error.message.includes('InstancePublishInfo.getExtendDatum()')) throw error
        return remove()
      })
    },
    seen: async (service) => {
      const text = await call('GET', '/v1/ns/instance/list', {
        namespaceId: namespace,
        serviceName: `${service.group}@@${service.name}`,
      })
      return (JSON.parse(text) as { hosts: SeenInstance[] }).hosts
    },
    subscribers: async (service) => {
      const text = await call('GET', '/v1/ns/service/subscribers', {
        namespaceId: namespace,
        serviceName: service.name,
        groupName: service.group,
        pageNo: '1',
        pageSize: '1000',
      })
      // the answer is about every service whose name begins so
      const { subscribers } = JSON.parse(text) as { subscribers: { serviceName: string }[] }
      return subscribers.filter(({ serviceName }) => serviceName === `${service.group}@@${service.name}`).length
    },
    publish: async (group, dataId, content) => {
      const tenant = namespace === 'public' ? '' : namespace
      await call('POST', '/v1/cs/configs', { dataId, group, content, tenant })
      await delay(0)
    },
  }
}
