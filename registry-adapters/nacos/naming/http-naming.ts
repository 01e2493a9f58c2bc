/**
 * Naming over HTTP in the form that a server offers: v3's client API, v1 or v2. Which one is found out by asking, per
 * server, and asked again when a path is gone: servers of one cluster differ while it is upgraded.
 */
import { MeshError } from '../../../contracts/errors.ts'
import type { Registration } from '../../../contracts/registry-adapter.ts'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { Auth } from '../auth/auth.ts'
import type { NacosApi } from '../config.ts'
import { excerpt, jsonOf } from '../server-list/http-client.ts'
import type { HttpAnswer, HttpAsk, HttpClient } from '../server-list/http-client.ts'
import type { NacosMember } from '../server-list/server-list.ts'
import { httpCodes } from '../wire/codes.ts'
import { httpPaths } from '../wire/http-paths.ts'
import { groupedName } from '../wire/service-name.ts'

export type HttpApi = Exclude<NacosApi, 'auto'>

export type BeatResult = 'known' | 'unknown'

/** Statuses that mean "this path is not served here": gone, not found, switched off, not implemented. */
const notOffered = new Set([404, 405, 410, 501])

/**
 * v2 last, although it is newer than v1: in a cluster of 2.3.1 a v2 registration that reaches a server which is not
 * responsible for the instance is not passed on to the one that is, and stays unknown to the others (v1 and v3 pass it
 * on). Every 2.x server offers v1.
 */
const order: readonly HttpApi[] = ['v3', 'v1', 'v2']

export class HttpNaming {
  private readonly http: HttpClient
  private readonly auth: Auth
  private readonly api: NacosApi
  private readonly apis = new Map<string, HttpApi>()
  /** Servers that want the whole instance in a heartbeat (before light beats). */
  private readonly heavyBeats = new Set<string>()

  constructor(http: HttpClient, auth: Auth, api: NacosApi) {
    this.http = http
    this.auth = auth
    this.api = api
  }

  /** The form that was found for a server; undefined = not asked yet. */
  apiOf(server: NacosMember): HttpApi | undefined {
    return this.api === 'auto' ? this.apis.get(server.id) : this.api
  }

  /**
   * Puts the instance there or replaces it whole. Rejects with a MeshError; E_REGISTRY_DENIED also where the server
   * will never take it.
   */
  async register(server: NacosMember, registration: Registration, signal: AbortSignal): Promise<void> {
    await this.try(server, registration.service, async (api) => {
      const parameters = { ...identity(api, registration, false), ...content(registration) }
      return { ask: { method: 'POST', path: httpPaths[api].instance, parameters, signal }, read: succeeded }
    })
  }

  /** Keeps the instance alive; `unknown` = the server has none such. Never creates one. */
  async beat(server: NacosMember, registration: Registration, signal: AbortSignal): Promise<BeatResult> {
    return this.try(server, registration.service, async (api) => {
      const parameters = identity(api, registration, true)
      if (api === 'v3')
        return {
          ask: {
            method: 'POST',
            path: httpPaths.v3.instance,
            parameters: { ...parameters, heartBeat: 'true' },
            signal,
          },
          read: readBeat,
        }
      const beat = this.heavyBeats.has(server.id) ? { beat: heavyBeat(registration) } : {}
      return {
        ask: { method: 'PUT', path: httpPaths[api].beat, parameters: { ...parameters, ...beat }, signal },
        read: (answer, name) => {
          if (answer.status === 400 && answer.text.includes('beat') && !this.heavyBeats.has(server.id)) {
            // 1.0 and 1.1 know no beat without the instance in it
            this.heavyBeats.add(server.id)
            return 'unknown'
          }
          return readBeat(answer, name)
        },
      }
    })
  }

  /** Removes the instance. One that is not there counts as removed. */
  async deregister(server: NacosMember, registration: Registration, signal: AbortSignal): Promise<void> {
    await this.try(server, registration.service, async (api) => ({
      ask: {
        method: 'DELETE',
        path: httpPaths[api].instance,
        parameters: { ...identity(api, registration, false), ephemeral: 'true' },
        signal,
      },
      read: succeeded,
    }))
  }

  /**
   * The server's view of a service, in the shape of gRPC's service info. v3 tells instances only: they are dressed as
   * one.
   */
  async list(
    server: NacosMember,
    service: ServiceName,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>>> {
    return this.try(server, service, async (api) => ({
      ask: {
        method: 'GET',
        path: httpPaths[api].instanceList,
        parameters: { ...naming(api, service), healthyOnly: 'false' },
        signal,
      },
      read: (answer, name) => {
        if (answer.status === 404 || (answer.status === 500 && answer.text.includes('not found')))
          return noInstances(service)
        if (answer.status !== 200) throw failure(answer, name)
        let value: unknown
        try {
          value = JSON.parse(answer.text)
        } catch (cause) {
          throw new MeshError('E_REGISTRY_PROTOCOL', `${name}: ${answer.text.length} characters are no JSON`, { cause })
        }
        const data = api === 'v1' ? value : (value as Readonly<Record<string, unknown>> | null)?.['data']
        if (Array.isArray(data)) return { ...noInstances(service), hosts: data }
        if (typeof data === 'object' && data !== null) return data as Readonly<Record<string, unknown>>
        throw new MeshError('E_REGISTRY_PROTOCOL', `${name}: answered without data`)
      },
    }))
  }

  /**
   * Names of services of one group, without the group. v3 has no such question for clients; 3.0 and 3.1 still answer
   * v1's. E_REGISTRY_PROTOCOL where none is left.
   */
  async services(
    server: NacosMember,
    namespace: string,
    group: string,
    page: number,
    size: number,
    signal: AbortSignal,
  ): Promise<string[]> {
    const service = { namespace, group, name: '' }
    return this.try(server, service, async (api) => {
      if (api === 'v3') return undefined
      const parameters = { namespaceId: namespace, groupName: group, pageNo: String(page), pageSize: String(size) }
      return {
        ask: { method: 'GET', path: httpPaths[api].serviceList, parameters, signal },
        read: (answer, name) => {
          if (answer.status !== 200) throw failure(answer, name)
          const body = jsonOf(answer)
          const names = (body?.['doms'] ??
            (body?.['data'] as Readonly<Record<string, unknown>> | undefined)?.['services']) as unknown
          if (!Array.isArray(names)) throw new MeshError('E_REGISTRY_PROTOCOL', `${name}: answered without names`)
          return names.filter((item) => typeof item === 'string')
        },
      }
    })
  }

  private async try<T>(
    server: NacosMember,
    service: ServiceName,
    /** undefined = this form has no such question. */
    make: (api: HttpApi) => Promise<{ ask: HttpAsk; read: (answer: HttpAnswer, name: string) => T } | undefined>,
  ): Promise<T> {
    const pinned = this.api === 'auto' ? this.apis.get(server.id) : this.api
    const candidates =
      this.api !== 'auto'
        ? [this.api]
        : pinned === undefined
          ? order
          : [pinned, ...order.filter((api) => api !== pinned)]
    let last: MeshError | undefined
    for (const api of candidates) {
      const made = await make(api)
      if (made === undefined) {
        last ??= new MeshError(
          'E_REGISTRY_PROTOCOL',
          `nacos at ${server.id}: its HTTP API ${api} does not answer this for clients`,
        )
        continue
      }
      const { ask, read } = made
      const name = `nacos at ${server.id}: ${ask.method} ${ask.path}`
      const answer = await this.withAuth(server, service, ask, name)
      if (notOffered.has(answer.status) && !isAboutTheService(answer)) {
        last = new MeshError('E_REGISTRY_PROTOCOL', `${name}: not offered (${answer.status})`)
        if (this.apis.get(server.id) === api) this.apis.delete(server.id)
        continue
      }
      if (answer.status < 500) this.apis.set(server.id, api)
      return read(answer, name)
    }
    throw last ?? new MeshError('E_REGISTRY_PROTOCOL', `nacos at ${server.id}: offers none of the known HTTP APIs`)
  }

  private async withAuth(server: NacosMember, service: ServiceName, ask: HttpAsk, name: string): Promise<HttpAnswer> {
    for (let isSecond = false; ; isSecond = true) {
      const words = await this.auth.forHttp({ kind: 'service', group: service.group, name: service.name })
      const answer = await this.http.ask(server, {
        ...ask,
        headers: words.headers,
        parameters: { ...ask.parameters, ...words.parameters },
      })
      if (answer.status !== 403 && answer.status !== 401) return answer
      if (!isSecond && this.auth.renew()) continue
      throw new MeshError(
        'E_REGISTRY_DENIED',
        `${name}: ${answer.status} ${excerpt(answer.text)}; check user and permissions`,
      )
    }
  }
}

/** v1 and the heartbeat of v2 want `group@@name`; v2 and v3 want two fields. */
function naming(api: HttpApi, service: ServiceName, isBeat = false): Record<string, string> {
  return api === 'v1' || (api === 'v2' && isBeat)
    ? {
        namespaceId: service.namespace,
        serviceName: groupedName(service.group, service.name),
        groupName: service.group,
      }
    : { namespaceId: service.namespace, serviceName: service.name, groupName: service.group }
}

function identity(api: HttpApi, registration: Registration, isBeat: boolean): Record<string, string> {
  return {
    ...naming(api, registration.service, isBeat),
    ip: registration.address,
    port: String(registration.port),
    clusterName: registration.cluster,
  }
}

/**
 * A heartbeat makes an ephemeral instance healthy whatever it was registered as, so an application that fails its check
 * is announced as disabled: servers leave it out of every list, and it is back in the moment it recovers.
 */
function content(registration: Registration): Record<string, string> {
  const isEnabled = String(registration.enabled && registration.healthy)
  return {
    weight: String(registration.weight),
    healthy: 'true',
    // 1.x reads `enable`
    enabled: isEnabled,
    enable: isEnabled,
    ephemeral: 'true',
    metadata: JSON.stringify(registration.metadata),
  }
}

function heavyBeat(registration: Registration): string {
  return JSON.stringify({
    serviceName: groupedName(registration.service.group, registration.service.name),
    ip: registration.address,
    port: registration.port,
    cluster: registration.cluster,
    weight: registration.weight,
    metadata: registration.metadata,
    scheduled: false,
  })
}

function noInstances(service: ServiceName): Readonly<Record<string, unknown>> {
  return {
    name: groupedName(service.group, service.name),
    groupName: service.group,
    hosts: [],
    lastRefTime: 0,
    valid: true,
  }
}

function isAboutTheService(answer: HttpAnswer): boolean {
  return answer.status === 404 && /service .*not found|"code":2\d{4}/i.test(answer.text)
}

function readBeat(answer: HttpAnswer, name: string): BeatResult {
  const body = jsonOf(answer)
  const inner = body?.['data']
  const code =
    typeof inner === 'object' && inner !== null
      ? ((inner as Record<string, unknown>)['code'] ?? body?.['code'])
      : body?.['code']
  if (code === httpCodes.v1InstanceNotFound || code === httpCodes.instanceNotFound) return 'unknown'
  if (answer.status !== 200) throw failure(answer, name)
  if (
    code === httpCodes.v1Success ||
    code === httpCodes.success ||
    (code === undefined && body?.['clientBeatInterval'] !== undefined)
  )
    return 'known'
  throw failure(answer, name)
}

function succeeded(answer: HttpAnswer, name: string): void {
  const body = jsonOf(answer)
  if (answer.status === 200 && (body === undefined || body['code'] === httpCodes.success || body['code'] === undefined))
    return
  throw failure(answer, name)
}

function failure(answer: HttpAnswer, name: string): MeshError {
  const words = `${name}: ${answer.status} ${excerpt(answer.text)}`
  if (/persistent service, can't register ephemeral|ephemeral service, can't register persistent/.test(answer.text))
    return new MeshError(
      'E_REGISTRY_DENIED',
      `${words}; somebody registered this service as persistent, it is left alone`,
    )
  return new MeshError(answer.status >= 500 ? 'E_REGISTRY_UNREACHABLE' : 'E_REGISTRY_PROTOCOL', words)
}
