/** Naming over HTTP: v1 (text answers), v2 and the v3 client interface (wrapped answers). */
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import type { InstanceAddress, InstanceChange, NamingBackend, ServiceSettings, ServiceView } from '../backend.ts'
import type { Caller } from '../../../../guard/caller.ts'
import { NacosFault } from '../fault.ts'
import type { NacosInstance } from '../instance.ts'
import {
  checkAddress,
  checkCluster,
  checkMetadata,
  checkPort,
  checkWeight,
  heartbeatTimes,
  isYes,
  parseInstance,
} from '../instance.ts'
import { instanceId, instanceJson, instancesOf, serviceInfo } from '../service-info.ts'
import { groupedName, namespaceOf, serviceNameOf } from '../service-name.ts'
import type { NacosAnswer, NacosRequest, Handler, Routes } from './exchange.ts'
import { json, param, required, result, text, wholeNumber } from './exchange.ts'

export interface NamingRoutesDeps {
  readonly naming: NamingBackend
  readonly now: () => number
  readonly cacheMillis: number
}

const maxPage = 1_000_000
const maxPageSize = 10_000

function serviceOf(request: NacosRequest): ServiceName {
  return serviceNameOf(param(request, 'namespaceId'), param(request, 'groupName'), param(request, 'serviceName'))
}

function instanceOf(request: NacosRequest): NacosInstance {
  return parseInstance(Object.fromEntries(request.params))
}

function addressOf(request: NacosRequest): InstanceAddress {
  return {
    ip: checkAddress(param(request, 'ip')),
    port: checkPort(param(request, 'port')),
    cluster: checkCluster(param(request, 'clusterName') ?? param(request, 'cluster')),
  }
}

function changeOf(request: NacosRequest): InstanceChange {
  const weight = param(request, 'weight')
  const enabled = param(request, 'enabled') ?? param(request, 'enable')
  const metadata = param(request, 'metadata')
  return {
    ...(weight === undefined ? {} : { weight: checkWeight(weight) }),
    ...(enabled === undefined ? {} : { enabled: isYes(enabled) }),
    ...(metadata === undefined ? {} : { metadata: checkMetadata(metadata) }),
  }
}

function settingsOf(request: NacosRequest): ServiceSettings {
  const threshold = Number(param(request, 'protectThreshold') ?? 0)
  if (!(threshold >= 0 && threshold <= 1)) {
    throw new NacosFault(
      'parameter-invalid',
      "Param 'protectThreshold' is illegal, the value should be between 0 and 1.",
    )
  }
  return { protectThreshold: threshold, metadata: checkMetadata(param(request, 'metadata')) }
}

export function namingRoutes({ naming, now, cacheMillis }: NamingRoutesDeps): Routes {
  const register: Handler = async (request) => {
    const service = serviceOf(request)
    await naming.register(service, [instanceOf(request)], undefined, request.caller)
    return text('ok')
  }
  const deregister: Handler = async (request) => {
    const service = serviceOf(request)
    await naming.deregister(service, instanceOf(request), undefined, request.caller)
    return text('ok')
  }
  const change: Handler = async (request) => {
    const service = serviceOf(request)
    const isKnown = await naming.change(service, addressOf(request), changeOf(request), request.caller)
    if (!isKnown) throw new NacosFault('instance', `instance not exist: ${groupedName(service)}`)
    return text('ok')
  }
  const changeHealth: Handler = async (request) => {
    const service = serviceOf(request)
    const healthy = isYes(required(request, 'healthy'))
    const address = addressOf(request)
    const found = await find(service, address, request.caller)
    if (found.ephemeral) {
      throw new NacosFault(
        'parameter-invalid',
        `health check is still working, service: ${groupedName(service)}, cluster: ${address.cluster}`,
      )
    }
    await naming.change(service, address, { healthy }, request.caller)
    return text('ok')
  }

  async function find(service: ServiceName, address: InstanceAddress, caller: Caller): Promise<NacosInstance> {
    const view = await naming.query(service, caller)
    const found = view?.instances.find(
      ({ ip, port, cluster }) => ip === address.ip && port === address.port && cluster === address.cluster,
    )
    if (found === undefined) throw new NacosFault('instance-unknown', 'no matched ip found!')
    return found
  }

  /**
   * Heartbeat of v1: with its full form (`beat`) an unknown instance is registered, with the short one the client is
   * told to do so.
   */
  async function beatCode(request: NacosRequest): Promise<{ code: number; interval: number }> {
    const service = serviceOf(request)
    const beat = param(request, 'beat')
    const full = beat === undefined || beat === '' ? undefined : beatInfo(beat)
    const address = full ?? addressOf(request)
    const interval = heartbeatTimes(full?.metadata ?? {}).interval
    if (await naming.beat(service, address, request.caller)) return { code: 10200, interval }
    if (full === undefined) return { code: 20404, interval }
    await naming.register(service, [full], undefined, request.caller)
    return { code: 10200, interval }
  }
  const beat: Handler = async (request) => {
    const { code, interval } = await beatCode(request)
    return json({ clientBeatInterval: interval, code, lightBeatEnabled: true })
  }

  async function infoOf(request: NacosRequest): Promise<object> {
    const service = serviceOf(request)
    const clusters = param(request, 'clusters') ?? param(request, 'clusterName') ?? ''
    const healthyOnly = isYes(param(request, 'healthyOnly'))
    return serviceInfo(service, await naming.query(service, request.caller), {
      clusters,
      healthyOnly,
      cacheMillis,
      at: now(),
      hasGroupInName: true,
    })
  }

  async function known(request: NacosRequest): Promise<ServiceView> {
    const service = serviceOf(request)
    const view = await naming.query(service, request.caller)
    if (view !== undefined) return view
    throw new NacosFault(
      'service-unknown',
      `service not found, namespace: ${service.namespace}, serviceName: ${groupedName(service)}`,
    )
  }

  async function names(request: NacosRequest): Promise<{ count: number; page: string[] }> {
    const pageNo = wholeNumber(request, 'pageNo', 1, 1, maxPage)
    const pageSize = wholeNumber(request, 'pageSize', 10, 1, maxPageSize)
    const group = param(request, 'groupName')
    const all = await naming.list(
      namespaceOf(param(request, 'namespaceId')),
      group === undefined || group === '' ? 'DEFAULT_GROUP' : group,
    )
    return { count: all.length, page: all.slice((pageNo - 1) * pageSize, pageNo * pageSize).map(({ name }) => name) }
  }

  const createService: Handler = async (request) => {
    await naming.createService(serviceOf(request), settingsOf(request))
    return text('ok')
  }
  const updateService: Handler = async (request) => {
    await naming.updateService(serviceOf(request), settingsOf(request))
    return text('ok')
  }
  const deleteService: Handler = async (request) => {
    await naming.deleteService(serviceOf(request))
    return text('ok')
  }

  /** What v1 and v2 tell of one instance; they differ in the key of the service's name. */
  const oneInstance = async (request: Parameters<typeof infoOf>[0]) => {
    const service = serviceOf(request)
    const found = await find(service, addressOf(request), request.caller)
    const { ip, port, weight, healthy, metadata } = found
    const id = instanceId(service, found)
    return {
      name: groupedName(service),
      facts: { ip, port, clusterName: found.cluster, weight, healthy, instanceId: id, metadata },
    }
  }

  return {
    'POST /v1/ns/instance': register,
    'DELETE /v1/ns/instance': deregister,
    'PUT /v1/ns/instance': change,
    'PATCH /v1/ns/instance': change,
    'GET /v1/ns/instance': async (request) => {
      const { name, facts } = await oneInstance(request)
      return json({ service: name, ...facts })
    },
    'GET /v1/ns/instance/list': async (request) => json(await infoOf(request)),
    'PUT /v1/ns/instance/beat': beat,
    'PUT /v1/ns/health/instance': changeHealth,
    'POST /v1/ns/service': createService,
    'PUT /v1/ns/service': updateService,
    'DELETE /v1/ns/service': deleteService,
    'GET /v1/ns/service': async (request) => {
      const { service, protectThreshold, metadata, instances } = await known(request)
      const clusters = [...new Set(instances.map(({ cluster }) => cluster))].sort()
      return json({
        namespaceId: service.namespace,
        groupName: service.group,
        name: service.name,
        protectThreshold,
        metadata,
        selector: { type: 'none', contextType: 'NONE' },
        clusters: clusters.map((name) => ({ name, healthChecker: { type: 'TCP' }, metadata: {} })),
      })
    },
    'GET /v1/ns/service/list': async (request) => {
      const { count, page } = await names(request)
      return json({ count, doms: page })
    },

    'POST /v2/ns/instance': wrapped(register),
    'DELETE /v2/ns/instance': wrapped(deregister),
    'PUT /v2/ns/instance': wrapped(change),
    'PATCH /v2/ns/instance': wrapped(change),
    'GET /v2/ns/instance': async (request) => {
      const { name, facts } = await oneInstance(request)
      return result({ serviceName: name, ...facts })
    },
    'GET /v2/ns/instance/list': async (request) => result(await infoOf(request)),
    'PUT /v2/ns/instance/beat': beat,
    'PUT /v2/ns/health/instance': wrapped(changeHealth),
    'POST /v2/ns/service': wrapped(createService),
    'PUT /v2/ns/service': wrapped(updateService),
    'DELETE /v2/ns/service': wrapped(deleteService),
    'GET /v2/ns/service': async (request) => {
      const { service, protectThreshold, metadata, instances } = await known(request)
      const clusters = [...new Set(instances.map(({ cluster }) => cluster))].sort()
      return result({
        namespace: service.namespace,
        serviceName: service.name,
        groupName: service.group,
        clusterMap: Object.fromEntries(
          clusters.map((clusterName) => [
            clusterName,
            { clusterName, healthChecker: { type: 'TCP' }, metadata: {}, hosts: null },
          ]),
        ),
        metadata,
        protectThreshold,
        selector: { type: 'NoneSelector', contextType: 'NONE' },
        ephemeral: instances.every(({ ephemeral }) => ephemeral),
      })
    },
    'GET /v2/ns/service/list': async (request) => {
      const { count, page } = await names(request)
      return result({ count, services: page })
    },

    'POST /v3/client/ns/instance': async (request) => {
      if (!isYes(param(request, 'heartBeat'))) return wrapped(register)(request)
      const isKnown = await naming.beat(serviceOf(request), addressOf(request), request.caller)
      return isKnown ? result('ok') : json({ code: 21003, message: 'instance not found', data: null })
    },
    'DELETE /v3/client/ns/instance': wrapped(deregister),
    'GET /v3/client/ns/instance/list': async (request) => {
      const service = serviceOf(request)
      const view = await naming.query(service, request.caller)
      const shown = instancesOf(view, param(request, 'clusterName') ?? '')
      return result(shown.map((instance) => instanceJson(service, instance)))
    },
  }
}

function wrapped(handler: Handler): Handler {
  return async (request): Promise<NacosAnswer> => {
    const { body } = await handler(request)
    return result(body)
  }
}

function beatInfo(beat: string): NacosInstance {
  let raw: unknown
  try {
    raw = JSON.parse(beat)
  } catch {
    throw new NacosFault('parameter-invalid', "Param 'beat' is illegal, it is not JSON")
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new NacosFault('parameter-invalid', "Param 'beat' is illegal, it is not a JSON object")
  }
  return { ...parseInstance(raw as Record<string, unknown>), healthy: true, ephemeral: true }
}
