/** Naming requests of gRPC clients. */
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import { clientRequests } from '../../wire/messages.ts'
import type { NamingBackend, ServiceView } from '../backend.ts'
import { NacosFault } from '../fault.ts'
import type { NacosInstance } from '../instance.ts'
import { parseInstance } from '../instance.ts'
import { serviceInfo } from '../service-info.ts'
import { namespaceOf, serviceNameOf } from '../service-name.ts'
import type { RequestBody, RequestHandlers } from './request-handler.ts'
import { isObject, textOf } from './request-handler.ts'
import type { ServicePushes } from './service-pushes.ts'

export interface NamingRequestsDeps {
  readonly naming: NamingBackend
  readonly pushes: ServicePushes
  readonly now: () => number
  readonly cacheMillis: number
  /** Instances in one batch. */
  readonly maxBatch: number
}

function serviceOf(body: RequestBody): ServiceName {
  return serviceNameOf(body['namespace'], body['groupName'], body['serviceName'])
}

function instanceOf(body: RequestBody): NacosInstance {
  if (!isObject(body['instance'])) throw new NacosFault('parameter-missing', "Param 'instance' is required.")
  return parseInstance(body['instance'])
}

function pageOf(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? Math.min(value, 1_000_000) : otherwise
}

export function namingRequests(deps: NamingRequestsDeps): RequestHandlers {
  const { naming, pushes, now, cacheMillis } = deps
  const infoOf = (
    service: ServiceName,
    view: ServiceView | undefined,
    clusters: string,
    healthyOnly: boolean,
  ): object => serviceInfo(service, view, { clusters, healthyOnly, cacheMillis, at: now(), hasGroupInName: false })
  return {
    [clientRequests.instance]: async (connection, body, caller) => {
      const service = serviceOf(body)
      const type = textOf(body['type'])
      if (type === 'registerInstance') {
        await naming.register(service, [{ ...instanceOf(body), ephemeral: true }], connection.id, caller)
      } else if (type === 'deregisterInstance')
        await naming.deregister(service, instanceOf(body), connection.id, caller)
      else throw new NacosFault('parameter-invalid', `Unsupported request type ${type}`)
      return { type }
    },
    [clientRequests.batchInstance]: async (connection, body, caller) => {
      const service = serviceOf(body)
      const type = textOf(body['type'])
      if (type !== 'batchRegisterInstance')
        throw new NacosFault('parameter-invalid', `Unsupported request type ${type}`)
      const given = body['instances']
      if (!Array.isArray(given)) throw new NacosFault('parameter-missing', "Param 'instances' is required.")
      if (given.length > deps.maxBatch) {
        throw new NacosFault('parameter-invalid', `instances: ${given.length} in one batch, ${deps.maxBatch} allowed`)
      }
      const instances = given.map((one: unknown) => {
        if (!isObject(one)) throw new NacosFault('parameter-invalid', 'instances: not a list of objects')
        return { ...parseInstance(one), ephemeral: true }
      })
      await naming.register(service, instances, connection.id, caller)
      return { type }
    },
    [clientRequests.persistentInstance]: async (_connection, body, caller) => {
      const service = serviceOf(body)
      const type = textOf(body['type'])
      const instance = { ...instanceOf(body), ephemeral: false }
      if (type === 'registerInstance') await naming.register(service, [instance], undefined, caller)
      else if (type === 'deregisterInstance') await naming.deregister(service, instance, undefined, caller)
      else throw new NacosFault('parameter-invalid', `Unsupported request type ${type}`)
      return { type }
    },
    [clientRequests.serviceQuery]: async (_connection, body, caller) => {
      const service = serviceOf(body)
      const view = await naming.query(service, caller)
      const clusters = textOf(body['cluster'])
      const healthyOnly = body['healthyOnly'] === true
      return { serviceInfo: infoOf(service, view, clusters, healthyOnly) }
    },
    [clientRequests.subscribeService]: async (connection, body, caller) => {
      const service = serviceOf(body)
      const clusters = textOf(body['clusters'])
      if (body['subscribe'] === false) pushes.unsubscribe(connection, service)
      else pushes.subscribe(connection, service, clusters, caller)
      const view = await naming.query(service, caller)
      return { message: 'success', serviceInfo: infoOf(service, view, clusters, false) }
    },
    [clientRequests.serviceList]: async (_connection, body) => {
      const pageNo = pageOf(body['pageNo'], 1)
      const pageSize = pageOf(body['pageSize'], 10)
      const group = textOf(body['groupName'])
      const all = await naming.list(namespaceOf(body['namespace']), group === '' ? undefined : group)
      const page = all.slice((pageNo - 1) * pageSize, pageNo * pageSize)
      return { count: all.length, serviceNames: page.map(({ name }) => name) }
    },
  }
}
