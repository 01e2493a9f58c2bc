/**
 * A stand-in for the part of a Kubernetes API server that the adapter speaks to: EndpointSlices, Services and whatever
 * kinds are installed, with list (in pages), watch from a resource version with bookmarks, 410 for one that was
 * forgotten, server-side apply, and a bearer token. Strict: what the API does not know is refused. Source: Kubernetes
 * API concepts ("Efficient detection of changes", "Resource versions").
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface StandInObject {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    namespace?: string
    resourceVersion?: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
  }
  [key: string]: unknown
}

export interface KubernetesStandIn {
  readonly port: number
  put(resource: string, namespace: string, object: StandInObject): void
  remove(resource: string, namespace: string, name: string): void
  objects(resource: string, namespace: string): readonly StandInObject[]
  /** Makes a kind known: `install('networking.istio.io/v1', 'virtualservices')`. */
  install(groupVersion: string, resource: string): void
  /** Resources that nobody may read or write. */
  readonly forbidden: Set<string>
  /** Only this token is taken; undefined = any. */
  token: string | undefined
  /** Called when a change has come and is not made yet; undefined = nothing is. */
  beforeWrite: (() => Promise<void> | void) | undefined
  /** Events from before now are forgotten: whoever watches from there is told 410. */
  compact(): void
  readonly watches: number
  /** How often somebody asked for more than one object. */
  readonly lists: number
  /** Lists are made from now on, and sent only with `sendLists`. */
  holdLists(): void
  sendLists(): void
  readonly held: number
  /** Lists by label are answered with this status; undefined = with what there is. */
  listStatus: number | undefined
  /** Sends every watcher a bookmark. */
  bookmark(): void
  stop(): Promise<void>
  listen(): Promise<void>
}

interface Event {
  readonly version: number
  readonly place: string
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: StandInObject
}

export async function startKubernetesStandIn(): Promise<KubernetesStandIn> {
  const stores = new Map<string, Map<string, StandInObject>>()
  const watchers = new Set<{ place: string; send(event: Event): void; bookmark(): void }>()
  const sockets = new Set<Socket>()
  const installed = new Map([
    ['endpointslices', 'apis/discovery.k8s.io/v1'],
    ['services', 'api/v1'],
  ])
  let events: Event[] = []
  let version = 100
  let oldest = 100
  let lists = 0
  let waiting: (() => void)[] | undefined
  let port = 0
  const storeOf = (place: string): Map<string, StandInObject> => {
    const store = stores.get(place) ?? new Map<string, StandInObject>()
    stores.set(place, store)
    return store
  }
  const record = (type: Event['type'], place: string, object: StandInObject): void => {
    object.metadata.resourceVersion = String(++version)
    const event: Event = { version, place, type, object: structuredClone(object) }
    events.push(event)
    for (const watcher of watchers) if (watcher.place === place) watcher.send(event)
  }
  const put = (place: string, object: StandInObject): void => {
    const store = storeOf(place)
    const type = store.has(object.metadata.name) ? 'MODIFIED' : 'ADDED'
    store.set(object.metadata.name, object)
    record(type, place, object)
  }
  const remove = (place: string, name: string): boolean => {
    const object = storeOf(place).get(name)
    if (object === undefined) return false
    storeOf(place).delete(name)
    record('DELETED', place, object)
    return true
  }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    }
    const refuse = (code: number, reason: string, message: string): void =>
      send(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message })
    if (standIn.token !== undefined && request.headers.authorization !== `Bearer ${standIn.token}`)
      return refuse(401, 'Unauthorized', 'Unauthorized')
    const url = new URL(request.url!, 'http://kubernetes')
    const found = /^\/(api\/v1|apis\/[^/]+\/[^/]+)\/namespaces\/([^/]+)\/([a-z]+)(?:\/([^/]+))?$/.exec(url.pathname)
    if (found === null || installed.get(found[3]!) !== found[1])
      return refuse(404, 'NotFound', 'the server could not find the requested resource')
    const [, , namespace, resource, name] = found
    if (standIn.forbidden.has(resource!))
      return refuse(403, 'Forbidden', `${resource} is forbidden: User "agent" cannot list resource "${resource}"`)
    const place = `${namespace}/${resource}`
    const selector = /^([^=]+)=(.+)$/.exec(url.searchParams.get('labelSelector') ?? '')
    const isSelected = (object: StandInObject): boolean =>
      selector === null || object.metadata.labels?.[selector[1]!] === selector[2]
    if (name !== undefined) {
      const object = storeOf(place).get(name)
      switch (request.method) {
        case 'GET':
          return object === undefined ? refuse(404, 'NotFound', `${name} not found`) : send(200, object)
        case 'DELETE': {
          const body = await textOf(request)
          await standIn.beforeWrite?.()
          const present = storeOf(place).get(name)
          const { preconditions } = (body === '' ? {} : JSON.parse(body)) as {
            preconditions?: { resourceVersion?: string }
          }
          const wanted = preconditions?.resourceVersion
          if (present !== undefined && wanted !== undefined && wanted !== present.metadata.resourceVersion)
            return refuse(409, 'Conflict', 'the object has been modified')
          return remove(place, name) ? send(200, { kind: 'Status', status: 'Success' }) : refuse(404, 'NotFound', name)
        }
        case 'PATCH': {
          if (request.headers['content-type'] !== 'application/apply-patch+yaml')
            return refuse(415, 'UnsupportedMediaType', 'server-side apply only')
          if (!url.searchParams.has('fieldManager'))
            return refuse(422, 'Invalid', 'fieldManager: Required value: is required for apply patch')
          if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) return refuse(422, 'Invalid', `name ${name}`)
          const applied = JSON.parse(await textOf(request)) as StandInObject
          await standIn.beforeWrite?.()
          const present = storeOf(place).get(name)
          const wanted = applied.metadata.resourceVersion
          if (wanted !== undefined && wanted !== present?.metadata.resourceVersion)
            return refuse(409, 'Conflict', 'the object has been modified; please apply your changes to the latest')
          put(place, applied)
          return send(present === undefined ? 201 : 200, applied)
        }
      }
      return refuse(405, 'MethodNotAllowed', request.method ?? '')
    }
    if (request.method === 'POST') {
      const made = JSON.parse(await textOf(request)) as StandInObject
      await standIn.beforeWrite?.()
      if (storeOf(place).has(made.metadata.name))
        return refuse(409, 'AlreadyExists', `${resource} "${made.metadata.name}" already exists`)
      put(place, made)
      return send(201, made)
    }
    if (url.searchParams.get('watch') === '1') return watch(place, url, response, refuse)
    if (selector !== null && standIn.listStatus !== undefined)
      return refuse(standIn.listStatus, 'TooManyRequests', 'try again later')
    const all = [...storeOf(place).values()].filter(isSelected)
    const limit = Number(url.searchParams.get('limit') ?? all.length)
    // one is only asked for to see whether anything can be asked for
    if (limit !== 1) lists++
    const from = Number(url.searchParams.get('continue') ?? 0)
    const more = from + limit < all.length ? { continue: String(from + limit) } : {}
    const list = {
      kind: 'List',
      metadata: { resourceVersion: String(version), ...more },
      items: all.slice(from, from + limit),
    }
    if (waiting === undefined || selector === null) send(200, list)
    else waiting.push(() => send(200, list))
  }

  function watch(
    place: string,
    url: URL,
    response: ServerResponse,
    refuse: (code: number, reason: string, message: string) => void,
  ): void {
    const from = Number(url.searchParams.get('resourceVersion'))
    if (!(from > 0)) return refuse(400, 'BadRequest', 'resourceVersion')
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    const line = (type: string, object: object): void => void response.write(`${JSON.stringify({ type, object })}\n`)
    if (from < oldest) {
      line('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' })
      response.end()
      return
    }
    const watcher = {
      place,
      send: (event: Event) => line(event.type, event.object),
      bookmark: () => line('BOOKMARK', { kind: 'EndpointSlice', metadata: { resourceVersion: String(version) } }),
    }
    for (const event of events) if (event.place === place && event.version > from) watcher.send(event)
    watchers.add(watcher)
    const seconds = Number(url.searchParams.get('timeoutSeconds') ?? 300)
    const timer = setTimeout(() => response.end(), seconds * 1000)
    timer.unref()
    response.on('close', () => {
      clearTimeout(timer)
      watchers.delete(watcher)
    })
  }

  const route = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)))
  }
  let server = createServer(route)
  const listen = async (): Promise<void> => {
    server = createServer(route)
    server.on('connection', (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  }
  const standIn: KubernetesStandIn = {
    get port() {
      return port
    },
    put: (resource, namespace, object) => {
      object.metadata.namespace = namespace
      put(`${namespace}/${resource}`, object)
    },
    remove: (resource, namespace, name) => void remove(`${namespace}/${resource}`, name),
    objects: (resource, namespace) => [...storeOf(`${namespace}/${resource}`).values()],
    install: (groupVersion, resource) => void installed.set(resource, `apis/${groupVersion}`),
    forbidden: new Set(),
    token: undefined,
    beforeWrite: undefined,
    listStatus: undefined,
    compact: () => {
      events = []
      oldest = ++version
    },
    get watches() {
      return watchers.size
    },
    get lists() {
      return lists
    },
    holdLists: () => void (waiting = []),
    sendLists: () => {
      const due = waiting ?? []
      waiting = undefined
      for (const go of due) go()
    },
    get held() {
      return waiting?.length ?? 0
    },
    bookmark: () => {
      for (const watcher of watchers) watcher.bookmark()
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
    listen,
  }
  await listen()
  return standIn
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
