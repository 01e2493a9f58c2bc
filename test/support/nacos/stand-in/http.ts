/**
 * The HTTP side of a stand-in Nacos server, in the dialects of the 1.x, 2.x and 3.x lines. Any answer can be replaced
 * by a script.
 */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import { splitGroupedName } from '../../../../registry-adapters/nacos/wire/service-name.ts'
import { wireInstance } from './store.ts'
import type { StandInStore } from './store.ts'

export type Dialect = '1.x' | '2.x' | '3.x'

export interface HttpRequestSeen {
  readonly method: string
  /** Below the context path, without query. */
  readonly path: string
  /** Of query and form together. */
  readonly parameters: Readonly<Record<string, string>>
  readonly headers: IncomingHttpHeaders
  /** The request target as it came: what an access log would show. */
  readonly target: string
  readonly at: number
}

export type HttpReply =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly body: string
      readonly headers?: Readonly<Record<string, string>>
    }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset' }
  /** Announces more than it sends, then cuts. */
  | { readonly kind: 'truncated'; readonly body: string }

export interface HttpScript {
  onRequest: ((seen: HttpRequestSeen) => HttpReply | undefined) | undefined
  /** User and password; the token that a login gives, and its life. */
  login:
    { readonly username: string; readonly password: string; readonly ttlSeconds: number; token(): string } | undefined
  isTokenGood: ((token: string | undefined) => boolean) | undefined
}

export interface StandInHttp {
  readonly port: number
  readonly seen: HttpRequestSeen[]
  /** 1.x: pushes over UDP to those who listed the service with a port. */
  notifyService(service: ServiceName): void
  close(): Promise<void>
}

export async function startHttp(
  port: number,
  dialect: Dialect,
  store: StandInStore,
  script: HttpScript,
  tls: { readonly key: string; readonly cert: string; readonly ca?: string } | undefined,
): Promise<StandInHttp> {
  const seen: HttpRequestSeen[] = []
  const udp = createSocket('udp4')
  udp.on('error', () => undefined)
  udp.unref()
  const udpListeners = new Map<string, Set<number>>()

  const answer = (request: HttpRequestSeen): HttpReply => {
    const scripted = script.onRequest?.(request)
    if (scripted !== undefined) return scripted
    const isLogin = request.path.endsWith('/login')
    if (!isLogin && script.isTokenGood !== undefined) {
      const bearer = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1]
      if (!script.isTokenGood(bearer)) return { kind: 'answer', status: 403, body: 'token expired!' }
    }
    return (
      route(request) ?? {
        kind: 'answer',
        status: 404,
        body: `{"status":404,"error":"Not Found","path":"${request.path}"}`,
      }
    )
  }

  const route = (request: HttpRequestSeen): HttpReply | undefined => {
    const { method, path, parameters } = request
    const match = /^\/v([123])(\/.*)$/.exec(path)
    if (match === null) return undefined
    const version = match[1]!
    const rest = match[2]!
    if (dialect === '1.x' && version !== '1') return undefined
    if (dialect === '2.x' && version === '3') return undefined
    if (dialect === '3.x' && version !== '3') return { kind: 'answer', status: 410, body: 'this API is gone, use v3' }
    const result = (data: unknown): HttpReply => reply(200, { code: 0, message: 'success', data })
    const grouped = splitGroupedName(parameters['serviceName'] ?? '', parameters['groupName'] || 'DEFAULT_GROUP')
    const service: ServiceName = {
      namespace: parameters['namespaceId'] || 'public',
      group: grouped.group,
      name: grouped.name,
    }
    const ip = parameters['ip'] ?? ''
    const instancePort = Number(parameters['port'])
    switch (`${version}${rest} ${method}`) {
      case '1/auth/login POST':
      case '1/auth/users/login POST':
      case '3/auth/user/login POST': {
        const login = script.login
        if (login === undefined) return reply(200, { accessToken: 'none', tokenTtl: 18_000 })
        if (parameters['username'] !== login.username || parameters['password'] !== login.password)
          return { kind: 'answer', status: 403, body: 'unknown user!' }
        return reply(200, { accessToken: login.token(), tokenTtl: login.ttlSeconds, globalAdmin: false })
      }
      case '1/ns/instance POST':
      case '2/ns/instance POST':
      case '3/client/ns/instance POST': {
        if (version === '3' && parameters['heartBeat'] === 'true')
          return store.hasInstance(service, ip, instancePort)
            ? result('ok')
            : reply(200, { code: 21_003, message: 'instance not found', data: null })
        store.putInstance(
          service,
          wireInstance({
            ip,
            port: instancePort,
            weight: Number(parameters['weight'] ?? 1),
            enabled: (parameters['enabled'] ?? parameters['enable'] ?? 'true') === 'true',
            ephemeral: (parameters['ephemeral'] ?? 'true') === 'true',
            clusterName: parameters['clusterName'] || 'DEFAULT',
            metadata: JSON.parse(parameters['metadata'] || '{}') as Record<string, string>,
          }),
        )
        return version === '1' ? { kind: 'answer', status: 200, body: 'ok' } : result('ok')
      }
      case '1/ns/instance DELETE':
      case '2/ns/instance DELETE':
      case '3/client/ns/instance DELETE':
        store.removeInstance(service, ip, instancePort)
        return version === '1' ? { kind: 'answer', status: 200, body: 'ok' } : result('ok')
      case '1/ns/instance/beat PUT':
      case '2/ns/instance/beat PUT': {
        const beat = JSON.parse(parameters['beat'] || 'null') as { ip: string; port: number } | null
        const isKnown = store.hasInstance(service, beat?.ip ?? ip, beat?.port ?? instancePort)
        return reply(200, { clientBeatInterval: 5000, code: isKnown ? 10_200 : 20_404, lightBeatEnabled: true })
      }
      case '1/ns/instance/list GET': {
        const udpPort = Number(parameters['udpPort'] ?? 0)
        if (udpPort > 0) {
          const key = `${service.namespace}/${service.group}@@${service.name}`
          udpListeners.set(key, (udpListeners.get(key) ?? new Set()).add(udpPort))
        }
        return reply(200, { ...store.info(service), name: `${service.group}@@${service.name}` })
      }
      case '2/ns/instance/list GET':
        return result({ ...store.info(service), name: `${service.group}@@${service.name}` })
      case '3/client/ns/instance/list GET':
        return result(store.info(service).hosts)
      case '1/ns/service/list GET':
      case '2/ns/service/list GET': {
        const names = store.serviceNames(service.namespace, service.group)
        const size = Number(parameters['pageSize'])
        const page = names.slice((Number(parameters['pageNo']) - 1) * size).slice(0, size)
        return version === '1'
          ? reply(200, { count: names.length, doms: page })
          : result({ count: names.length, services: page })
      }
      case '1/ns/operator/metrics GET':
        return reply(200, { status: 'UP' })
      case '1/cs/configs GET':
      case '3/client/cs/config GET': {
        const group = (version === '3' ? parameters['groupName'] : parameters['group']) ?? ''
        const tenant = (version === '3' ? parameters['namespaceId'] : parameters['tenant']) ?? ''
        const found = store.document(tenant, group, parameters['dataId'] ?? '')
        if (found === undefined)
          return version === '3'
            ? reply(404, { code: 20_004, message: 'resource not found', data: null })
            : { kind: 'answer', status: 404, body: 'config data not exist\n' }
        return version === '3'
          ? result(found)
          : { kind: 'answer', status: 200, body: found.content, headers: { 'content-md5': found.md5 } }
      }
      case '1/cs/configs POST': {
        const casMd5 = request.headers['casmd5']
        store.writeDocument(
          parameters['tenant'] ?? '',
          parameters['group'] ?? '',
          parameters['dataId'] ?? '',
          parameters['content'] ?? '',
          typeof casMd5 === 'string' ? casMd5 : '',
        )
        return { kind: 'answer', status: 200, body: 'true' }
      }
      case '1/cs/configs DELETE':
        store.removeDocument(parameters['tenant'] ?? '', parameters['group'] ?? '', parameters['dataId'] ?? '')
        return { kind: 'answer', status: 200, body: 'true' }
      default:
        return undefined
    }
  }

  const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('error', () => undefined)
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', 'http://stand-in')
      const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
      const request: HttpRequestSeen = {
        method: incoming.method ?? '',
        path: url.pathname.replace(/^\/nacos/, ''),
        parameters: Object.fromEntries([...url.searchParams, ...form]),
        headers: incoming.headers,
        target: incoming.url ?? '',
        at: performance.now(),
      }
      seen.push(request)
      const made = answer(request)
      switch (made.kind) {
        case 'hang':
          return
        case 'reset':
          incoming.socket.resetAndDestroy()
          return
        case 'truncated':
          response.writeHead(200, { 'content-length': made.body.length + 100 })
          response.write(made.body, () => incoming.socket.destroy())
          return
        case 'answer':
          response.writeHead(made.status, { 'content-type': 'application/json;charset=UTF-8', ...made.headers })
          response.end(made.body)
      }
    })
  }
  const server: Server =
    tls === undefined
      ? createServer(handle)
      : createTlsServer(
          {
            key: tls.key,
            cert: tls.cert,
            ...(tls.ca === undefined ? {} : { ca: tls.ca, requestCert: true, rejectUnauthorized: true }),
          },
          handle,
        )
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(port, '127.0.0.1', () => resolve())
  })
  return {
    port: (server.address() as { port: number }).port,
    seen,
    notifyService: (service) => {
      if (dialect !== '1.x') return
      const info = { ...store.info(service), name: `${service.group}@@${service.name}` }
      const packet = JSON.stringify({ type: 'dom', data: JSON.stringify(info), lastRefTime: info.lastRefTime })
      const key = `${service.namespace}/${service.group}@@${service.name}`
      for (const udpPort of udpListeners.get(key) ?? []) udp.send(packet, udpPort, '127.0.0.1')
    },
    close: async () => {
      udp.close()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

function reply(status: number, body: object): HttpReply {
  return { kind: 'answer', status, body: JSON.stringify(body) }
}
