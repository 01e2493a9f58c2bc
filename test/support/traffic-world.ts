/**
 * A worker process under rules written in YAML, with applications behind it that tell what they got. Rules are compiled
 * by control's own code; endpoints are servers of the test on loopback.
 */
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { request as httpRequest } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { entrySet } from '../../agent/control/core/rules/service-entry.ts'
import type { RuleStore } from '../../agent/control/core/rules/rule-store.ts'
import type { Endpoint, EndpointSet, ServiceKey } from '../../contracts/endpoint.ts'
import type { AppProtocol } from '../../contracts/protocols.ts'
import { defaultLimits, snapshotFormat } from '../../contracts/snapshot.ts'
import type { LimitsSpec, ListenerSpec, Snapshot, SourceAppSpec } from '../../contracts/snapshot.ts'
import { freePort } from './free-port.ts'
import { key as keyOf, rules } from './routing.ts'
import { endpointOf } from './worker/snapshots.ts'
import { WorkerProcess } from './worker/worker-process.ts'

/** What an application got, in the order of arrival. */
export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export type Handler = (received: Received, response: ServerResponse, request: IncomingMessage) => void

export interface AppPlan {
  readonly version?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Instead of 200 and the application's name. */
  readonly answer?: Handler
  /** A port where nobody listens. */
  readonly isDown?: boolean
  /** Raw bytes instead of HTTP. */
  readonly tcp?: (socket: Socket) => void
}

/** One application instance. */
export class App {
  readonly name: string
  readonly received: Received[] = []
  readonly endpoint: Endpoint
  /** Opened to it so far. */
  connections = 0
  private readonly server: Server
  private readonly sockets = new Set<Socket>()

  static async start(name: string, plan: AppPlan): Promise<App> {
    const apps: App[] = []
    const server: Server =
      plan.tcp === undefined
        ? createServer((incoming, response) => void serve(apps[0]!, plan, incoming, response))
        : createTcpServer({ allowHalfOpen: true }, plan.tcp)
    // the port of one that is down must stay so
    const port = await freePort()
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    const app = new App(name, plan, port, server)
    apps.push(app)
    if (plan.isDown === true) await app.stop()
    return app
  }

  private constructor(name: string, plan: AppPlan, port: number, server: Server) {
    this.name = name
    this.server = server
    this.endpoint = { ...endpointOf('127.0.0.1', port), version: plan.version ?? '', metadata: plan.labels ?? {} }
    server.on('connection', (socket: Socket) => {
      this.connections++
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => this.sockets.delete(socket))
    })
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    if (this.server.listening) await new Promise<void>((resolve) => this.server.close(() => resolve()))
  }
}

async function serve(app: App, plan: AppPlan, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = ''
  try {
    for await (const chunk of incoming) body += String(chunk)
  } catch {
    return
  }
  const received = { method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers, body }
  app.received.push(received)
  if (plan.answer !== undefined) plan.answer(received, response, incoming)
  else response.end(app.name)
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface CallTraits {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string
  /** Name of a service with a listener of its own; without it the shared port. */
  readonly via?: string
}

export interface WorldPlan {
  readonly rules: string
  /** Instances by service. */
  readonly apps: Readonly<Record<string, readonly AppPlan[]>>
  /** Services with a listener of their own; `tcp` ones are raw. */
  readonly listeners?: Readonly<Record<string, AppProtocol>>
  /** Instead of the defaults. */
  readonly limits?: Partial<LimitsSpec>
  /** The shared port takes CONNECT and SOCKS5. */
  readonly tunnels?: true
  /** Who the test is, as a calling application. */
  readonly caller?: SourceAppSpec
}

export class TrafficWorld {
  readonly store: RuleStore
  readonly worker: WorkerProcess
  private readonly apps: ReadonlyMap<string, readonly App[]>
  private readonly ports: ReadonlyMap<string, number>
  private readonly snapshotOf: () => Snapshot

  static async start(plan: WorldPlan): Promise<TrafficWorld> {
    const store = rules(plan.rules)
    const apps = new Map<string, App[]>()
    for (const [service, instances] of Object.entries(plan.apps)) {
      const started = instances.map((one, index) => App.start(instanceName(service, one, index, instances.length), one))
      apps.set(service, await Promise.all(started))
    }
    const ports = new Map<string, number>()
    for (const name of ['shared', ...Object.keys(plan.listeners ?? {})]) ports.set(name, await freePort())
    const worker = await WorkerProcess.start(snapshotOf(store, plan, apps, ports))
    return new TrafficWorld(plan, store, worker, apps, ports)
  }

  private constructor(
    plan: WorldPlan,
    store: RuleStore,
    worker: WorkerProcess,
    apps: ReadonlyMap<string, readonly App[]>,
    ports: ReadonlyMap<string, number>,
  ) {
    this.store = store
    this.worker = worker
    this.apps = apps
    this.ports = ports
    this.snapshotOf = () => snapshotOf(store, plan, apps, ports)
  }

  /** `orders`, or the instance `orders v2`. */
  app(name: string): App {
    const [service = ''] = name.split(' ')
    const found = this.apps.get(service)?.find((one) => one.name === name)
    if (found === undefined) throw new Error(`no application ${name}`)
    return found
  }

  /** Everything that the instances of a service got. */
  received(service: string): Received[] {
    return (this.apps.get(service) ?? []).flatMap((one) => one.received)
  }

  forget(): void {
    for (const apps of this.apps.values()) for (const one of apps) one.received.length = 0
  }

  /** Replaces the rules, as control does after a changed file, and waits until the worker runs with them. */
  async changeRules(text: string): Promise<void> {
    const { statuses } = this.store.replaceSource('rules.d', [{ name: 'rules.yaml', text }])
    const bad = statuses.filter((status) => status.state !== 'applied')
    if (bad.length > 0) throw new Error(JSON.stringify(bad))
    const { virtualHosts, services } = this.snapshotOf()
    await this.worker.change({ virtualHosts, services })
  }

  /** Leaves only these instances in the registry's answer. */
  async changeInstances(service: string, isThere: (index: number) => boolean): Promise<void> {
    const instances = (this.apps.get(service) ?? []).filter((_, index) => isThere(index))
    await this.worker.change({ endpoints: { [keyOf(service)]: endpointsOf(this.store, keyOf(service), instances) } })
  }

  port(name: string): number {
    const port = this.ports.get(name)
    if (port === undefined) throw new Error(`no listener ${name}`)
    return port
  }

  /** `orders/path`: the Host and the target of one request on a connection of its own. */
  call(target: string, traits: CallTraits = {}): Promise<Answer> {
    const slash = target.indexOf('/')
    const [host, path] = [target.slice(0, slash), target.slice(slash)]
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest({
        host: '127.0.0.1',
        port: this.port(traits.via ?? 'shared'),
        method: traits.method ?? 'GET',
        path,
        headers: { host, ...traits.headers },
        agent: false,
      })
      outgoing.once('error', reject)
      outgoing.once('response', (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (body += chunk))
        response.once('error', reject)
        response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
      })
      outgoing.end(traits.body)
    })
  }

  /** Bodies of `count` calls, counted. */
  async countBodies(count: number, target: string, traits: CallTraits = {}): Promise<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (let from = 0; from < count; from += 20) {
      const calls = Array.from({ length: Math.min(20, count - from) }, () => this.call(target, traits))
      for (const { body } of await Promise.all(calls)) counts[body] = (counts[body] ?? 0) + 1
    }
    return counts
  }

  async stop(): Promise<void> {
    await this.worker.stop()
    for (const apps of this.apps.values()) for (const one of apps) await one.stop()
  }
}

function instanceName(service: string, plan: AppPlan, index: number, count: number): string {
  if (plan.version !== undefined) return `${service} ${plan.version}`
  return count === 1 ? service : `${service} ${index}`
}

function snapshotOf(
  store: RuleStore,
  plan: WorldPlan,
  apps: ReadonlyMap<string, readonly App[]>,
  ports: ReadonlyMap<string, number>,
): Snapshot {
  const hostKeys = new Set<ServiceKey>([...store.declaredKeys(), ...[...apps.keys()].map(keyOf)])
  const hosts = [...hostKeys].map((key) => store.virtualHost(key))
  const serviceKeys = new Set<ServiceKey>([...hosts.flatMap((host) => host.services), ...[...apps.keys()].map(keyOf)])
  const services = [...serviceKeys].map((key): Snapshot['services'][ServiceKey] => {
    const name = key.slice(key.indexOf('@@') + 2)
    return {
      key,
      protocol: plan.listeners?.[name] ?? 'http',
      ...store.service(key),
      endpoints: endpointsOf(store, key, apps.get(name) ?? []),
    }
  })
  const listeners: ListenerSpec[] = [...ports].map(([name, port]) => {
    const base = { name, address: '127.0.0.1', port, proxyProtocol: 'off' as const }
    if (name === 'shared') return { ...base, kind: 'shared-http', ...(plan.tunnels ? { tunnels: true } : {}) }
    return {
      ...base,
      kind: 'service',
      protocol: plan.listeners![name]!,
      service: keyOf(name),
      virtualHost: keyOf(name),
    }
  })
  const { caller } = plan
  return {
    format: snapshotFormat,
    version: 1,
    createdAt: Date.now(),
    node: { host: 'test-host', address: '127.0.0.1', locality: { region: '', zone: '' }, tier: 'agent' },
    mesh: {
      limits: { ...defaultLimits, ...plan.limits },
      accessLog: { format: 'off', path: '-', share: 1 },
      fallbackNetworks: [],
      sourceAppsByUid: caller === undefined ? {} : { [String(process.getuid?.() ?? 0)]: caller },
      tracing: { createMissing: false, sampledShare: 0 },
    },
    listeners: Object.fromEntries(listeners.map((one) => [one.name, one])),
    virtualHosts: Object.fromEntries(hosts.map(({ spec }) => [spec.name, spec])),
    services: Object.fromEntries(services.map((one) => [one.key, one])),
    names: Object.fromEntries([...apps.keys()].map((name) => [name, keyOf(name)])),
  }
}

function endpointsOf(store: RuleStore, key: ServiceKey, apps: readonly App[]): EndpointSet {
  const declared = store.declaredService(key)
  if (declared !== undefined) return entrySet(declared, new Map(), 1, Date.now())
  const endpoints = apps.map((one) => one.endpoint).toSorted((a, b) => a.port - b.port)
  return { service: key, version: 1, endpoints, protectThreshold: 0, registry: 'test', confirmedAt: Date.now() }
}
