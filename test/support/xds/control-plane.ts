/** A real control plane for tests: go-control-plane, on loopback, with what the test says. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { freePort } from '../free-port.ts'
import { controlPlane, goTool } from '../go-tool.ts'

/** A request as it came in. */
export interface SeenRequest {
  readonly type: string
  readonly node: string
  readonly version: string
  readonly nonce: string
  readonly names: readonly string[] | null
  /** '' = it acknowledges. */
  readonly error: string
}

/** A resource as JSON, with `@type`. */
export type Resource = Readonly<Record<string, unknown>>

const config = 'type.googleapis.com/envoy.config'
const extensions = 'type.googleapis.com/envoy.extensions'

/** For a `before` hook: skips its suite, by name, where the program cannot be built. */
export async function needsControlPlane(context: Mocha.Context): Promise<string> {
  context.timeout(600_000)
  const found = await goTool(controlPlane)
  if ('program' in found) return found.program
  console.log(`skipped: ${found.missing}`)
  return context.skip()
}

export class ControlPlane {
  readonly port: number
  readonly requests: SeenRequest[] = []
  private readonly program: string
  private child: ChildProcess | undefined
  private version = 0
  /** By version: who waits until the program has it. */
  private readonly takers = new Map<string, () => void>()
  private resources: readonly Resource[] | undefined

  static async start(program: string): Promise<ControlPlane> {
    const plane = new ControlPlane(program, await freePort())
    await plane.start()
    return plane
  }

  private constructor(program: string, port: number) {
    this.program = program
    this.port = port
  }

  /** With what it had. */
  async start(): Promise<void> {
    const child = spawn(this.program, [String(this.port)], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.child = child
    const lines = createInterface({ input: child.stdout })
    let isUp = false
    // the first line says that it listens; a request may come with the same bytes
    lines.on('line', (line) => {
      if (isUp) this.heard(JSON.parse(line) as SeenRequest | { readonly taken: string })
      isUp = true
    })
    await once(lines, 'line')
    if (this.resources !== undefined) await this.say(this.resources)
  }

  /**
   * These are all of its resources, for everybody: whoever asks once this has come back is answered from them. Of one
   * that is dead: once it is started again.
   */
  async say(resources: readonly Resource[]): Promise<void> {
    this.resources = resources
    if (!this.isAlive) return
    const version = String(++this.version)
    const taken = new Promise<void>((resolve) => this.takers.set(version, resolve))
    this.child?.stdin?.write(`${JSON.stringify({ version, resources })}\n`)
    await taken
  }

  private heard(line: SeenRequest | { readonly taken: string }): void {
    if (!('taken' in line)) return void this.requests.push(line)
    this.takers.get(line.taken)?.()
    this.takers.delete(line.taken)
  }

  /** Refusals of clusters, endpoints, listeners or routes (`Cluster`). */
  refusals(type: string): readonly string[] {
    return this.requests.flatMap((one) => (one.error !== '' && one.type.endsWith(`.${type}`) ? [one.error] : []))
  }

  async kill(): Promise<void> {
    if (!this.isAlive) return
    const ended = once(this.child!, 'exit')
    this.child!.kill('SIGKILL')
    await ended
  }

  private get isAlive(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }
}

export function cluster(name: string, more: object = {}): Resource {
  return {
    '@type': `${config}.cluster.v3.Cluster`,
    name,
    type: 'EDS',
    edsClusterConfig: { edsConfig: { ads: {}, resourceApiVersion: 'V3' } },
    ...more,
  }
}

export interface At {
  readonly address: string
  readonly port: number
  readonly weight?: number
  readonly metadata?: Readonly<Record<string, string>>
}

export function assignment(name: string, instances: readonly At[], more: object = {}): Resource {
  return {
    '@type': `${config}.endpoint.v3.ClusterLoadAssignment`,
    clusterName: name,
    endpoints: instances.map((one) => ({
      locality: { region: '', zone: one.metadata?.['zone'] ?? '' },
      lbEndpoints: [
        {
          endpoint: { address: { socketAddress: { address: one.address, portValue: one.port } } },
          healthStatus: 'HEALTHY',
          ...(one.weight === undefined ? {} : { loadBalancingWeight: one.weight }),
          ...(one.metadata === undefined ? {} : { metadata: { filterMetadata: { 'envoy.lb': one.metadata } } }),
        },
      ],
      ...more,
    })),
  }
}

/** As Envoys have it: a port, and the routes by their name. */
export function listener(name: string, routes: string, more: object = {}): Resource {
  return {
    '@type': `${config}.listener.v3.Listener`,
    name,
    address: { socketAddress: { address: '0.0.0.0', portValue: 10_000 } },
    filterChains: [
      {
        filters: [
          {
            name: 'http',
            typedConfig: {
              '@type': `${extensions}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
              statPrefix: name,
              rds: { routeConfigName: routes, configSource: { ads: {}, resourceApiVersion: 'V3' } },
              httpFilters: [
                { name: 'router', typedConfig: { '@type': `${extensions}.filters.http.router.v3.Router` } },
              ],
              ...more,
            },
          },
        ],
      },
    ],
  }
}

export function routes(name: string, domains: readonly string[], list: readonly object[], more: object = {}): Resource {
  return {
    '@type': `${config}.route.v3.RouteConfiguration`,
    name,
    virtualHosts: [{ name: 'all', domains, routes: list, ...more }],
  }
}
