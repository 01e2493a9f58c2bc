/**
 * A stand-in for a Consul agent, for machines without a real one. It is strict: what the documentation does not allow
 * is refused with the documented status, so that an adapter that leans on something else fails here. Source of each
 * rule: HTTP API of Consul 1.16 ("Health", "Blocking queries", "Agent: services", "Agent: checks", "ACL").
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { AddressInfo, Socket } from 'node:net'

export interface StandInService {
  readonly id: string
  readonly name: string
  readonly address: string
  readonly port: number
  readonly passing?: number
  readonly meta?: Readonly<Record<string, string>>
  readonly tags?: readonly string[]
  /** Registered by the TTL form: critical without a sign of life for so long. */
  readonly ttlMs?: number
}

interface Kept extends StandInService {
  status: 'passing' | 'warning' | 'critical'
  aliveAt: number
}

export interface ConsulStandIn {
  readonly port: number
  /** Connections that wait in a blocking query at the moment. */
  readonly waiting: number
  /** Questions by path, without the query. */
  readonly questions: ReadonlyMap<string, number>
  put(service: StandInService): void
  remove(id: string): void
  setStatus(id: string, status: 'passing' | 'warning' | 'critical'): void
  services(name: string): readonly Kept[]
  /** What is answered instead of the list of a service; undefined = the truth. */
  lie(name: string, text: string | undefined): void
  /** Services that the token may not read: they are left out, and a header says that something is. */
  hide(names: readonly string[]): void
  /** Only this token is taken; undefined = any. */
  token: string | undefined
  /** Indices begin anew, as after a restored snapshot. */
  resetIndex(): void
  /** Ends connections and the port; what is registered stays for `listen`. */
  stop(): Promise<void>
  listen(): Promise<void>
}

const maxWaitMs = 600_000

export async function startConsulStandIn(): Promise<ConsulStandIn> {
  const services = new Map<string, Kept>()
  const lies = new Map<string, string>()
  const questions = new Map<string, number>()
  let hidden: readonly string[] = []
  const changed = new Set<() => void>()
  const sockets = new Set<Socket>()
  let index = 7
  let waiting = 0
  let port = 0
  const change = (): void => {
    index++
    for (const wake of changed) wake()
  }
  const expire = (): void => {
    for (const one of services.values())
      if (one.ttlMs !== undefined && one.status !== 'critical' && performance.now() - one.aliveAt > one.ttlMs) {
        one.status = 'critical'
        change()
      }
  }
  const sweeper = setInterval(expire, 50)
  sweeper.unref()

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url!, 'http://consul')
    questions.set(url.pathname, (questions.get(url.pathname) ?? 0) + 1)
    const send = (status: number, text: string, isFiltered = false): void => {
      if (response.destroyed) return
      response.writeHead(status, {
        'content-type': 'application/json',
        'x-consul-index': String(index),
        ...(isFiltered ? { 'x-consul-results-filtered-by-acls': 'true' } : {}),
      })
      response.end(text)
    }
    if (standIn.token !== undefined && url.pathname !== '/v1/status/leader') {
      if (request.headers['x-consul-token'] !== standIn.token) return send(403, 'Permission denied')
    }
    const [, , area, what, ...rest] = url.pathname.split('/').map(decodeURIComponent)
    const name = rest.join('/')
    switch (`${request.method} ${area}/${what}`) {
      case 'GET status/leader':
        return send(200, '"127.0.0.1:8300"')
      case 'GET catalog/services':
        return send(
          200,
          JSON.stringify(
            Object.fromEntries(
              [...services.values()].flatMap((one) => (hidden.includes(one.name) ? [] : [[one.name, one.tags ?? []]])),
            ),
          ),
          hidden.length > 0,
        )
      case 'GET health/service': {
        const wanted = url.searchParams.get('index')
        if (wanted !== null) {
          if (!/^[1-9]\d*$/.test(wanted)) return send(400, 'Invalid index')
          const wait = /^(\d+)(ms|s|m)$/.exec(url.searchParams.get('wait') ?? '5m')
          if (wait === null) return send(400, 'Invalid wait time')
          const unit = { ms: 1, s: 1000, m: 60_000 }[wait[2] as 'ms' | 's' | 'm']
          if (Number(wanted) >= index) await changeOrTimeout(Math.min(maxWaitMs, Number(wait[1]) * unit), request)
        }
        if (hidden.includes(name)) return send(200, '[]', true)
        return send(
          200,
          lies.get(name) ?? JSON.stringify([...services.values()].filter((one) => one.name === name).map(entry)),
        )
      }
      case 'PUT agent/service': {
        if (rest[0] === undefined) {
          const body = JSON.parse(await textOf(request))
          const {
            ID: id,
            Name: called,
            Address: address,
            Port: own,
            Meta: meta = {},
            Weights: weights,
            Check: check,
          } = body
          for (const key of Object.keys(meta))
            if (!/^[A-Za-z0-9_-]{1,128}$/.test(key)) return send(400, `Invalid Service Meta: key ${key}`)
          if (weights !== undefined && !(weights.Passing >= 1)) return send(400, 'Passing must be greater than 0')
          const ttlMs = Number(/^(\d+)s$/.exec(check.TTL)![1]) * 1000
          const before = services.get(id)
          services.set(id, {
            id,
            name: called,
            address,
            port: own,
            passing: weights?.Passing ?? 1,
            meta,
            ttlMs,
            status: check.Status ?? before?.status ?? 'critical',
            aliveAt: performance.now(),
          })
          change()
          return send(200, '')
        }
        const id = rest[0]
        if (!services.delete(id)) return send(404, `Unknown service ID "${id}"`)
        change()
        return send(200, '')
      }
      case 'PUT agent/check': {
        const [verb, check] = [rest[0]!, rest[1]!]
        const one = [...services.values()].find(({ id }) => `${id}-agent` === check)
        if (one === undefined) return send(404, `Unknown check ID "${check}"`)
        one.aliveAt = performance.now()
        const status = verb === 'pass' ? 'passing' : 'critical'
        if (one.status !== status) {
          one.status = status
          change()
        }
        return send(200, '')
      }
      default:
        return send(404, 'no such path')
    }
  }

  async function changeOrTimeout(ms: number, request: IncomingMessage): Promise<void> {
    waiting++
    const abort = new AbortController()
    const wake = (): void => abort.abort()
    changed.add(wake)
    request.socket.once('close', wake)
    // Consul adds up to a sixteenth
    await delay(ms, undefined, { signal: abort.signal, ref: false }).catch(() => undefined)
    changed.delete(wake)
    request.socket.off('close', wake)
    waiting--
  }

  const route = (request: IncomingMessage, response: ServerResponse): void => {
    // `agent/service/register` and `agent/service/deregister/ID` are told apart here
    request.url = request
      .url!.replace('/agent/service/register', '/agent/service')
      .replace('/agent/service/deregister/', '/agent/service/')
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
  const standIn: ConsulStandIn = {
    get port() {
      return port
    },
    get waiting() {
      return waiting
    },
    questions,
    put: (service) => {
      services.set(service.id, { ...service, status: 'passing', aliveAt: performance.now() })
      change()
    },
    remove: (id) => {
      if (services.delete(id)) change()
    },
    setStatus: (id, status) => {
      services.get(id)!.status = status
      change()
    },
    services: (name) => [...services.values()].filter((one) => one.name === name),
    lie: (name, text) => {
      if (text === undefined) lies.delete(name)
      else lies.set(name, text)
      change()
    },
    hide: (names) => {
      hidden = names
      change()
    },
    token: undefined,
    resetIndex: () => {
      index = 1
      change()
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

function entry(one: Kept): object {
  return {
    Node: { Node: 'node-1', Address: '10.9.9.9', Datacenter: 'dc1', Meta: {} },
    Service: {
      ID: one.id,
      Service: one.name,
      Tags: one.tags ?? [],
      Address: one.address,
      Port: one.port,
      Meta: one.meta ?? {},
      Weights: { Passing: one.passing ?? 1, Warning: 1 },
    },
    Checks: [
      { CheckID: 'serfHealth', Status: 'passing' },
      { CheckID: `${one.id}-agent`, Status: one.status },
    ],
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
