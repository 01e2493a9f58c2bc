/**
 * Whole hosts for end-to-end tests: real watchdog, control and workers on loopback addresses of their own, and small
 * applications.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DemoApplication, startHttpApplication, startLineApplication } from '../../../cli/traffic/applications.ts'
import { DemoHost, type HostOptions } from '../../../cli/launch/host.ts'
import { type LoopbackBlock, claimLoopbackBlock } from '../../../cli/launch/loopback-block.ts'

export { DemoHost } from '../../../cli/launch/host.ts'
export type { DemoApplication } from '../../../cli/traffic/applications.ts'

export interface HostPlan {
  readonly role?: 'agent' | 'center'
  readonly applications?: readonly DemoApplication[]
  readonly outbound?: HostOptions['outbound']
  readonly centers?: readonly string[]
  readonly extra?: Readonly<Record<string, unknown>>
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/**
 * How fast a process starts or answers on a machine that is busy with something else is not what these tests prove; and
 * were a worker taken for dead, the relay that stands in for it would answer by fewer rules.
 */
const patient = { startDeadline: '60s', probeTimeout: '10s' }

/** Everything that one test file starts; `close()` ends all of it and is safe to call twice. */
export class Mesh {
  readonly directory = mkdtempSync(join(tmpdir(), 'hostmesh-e2e-'))
  private readonly block: LoopbackBlock
  private readonly registries: readonly object[]
  private readonly hosts: DemoHost[] = []
  private readonly applications: DemoApplication[] = []
  private next = 1

  static async open(registries: readonly object[]): Promise<Mesh> {
    return new Mesh(await claimLoopbackBlock(Math.random), registries)
  }

  /** Its registry is a folder of files, which `tell` writes. */
  static async openOnFiles(): Promise<Mesh> {
    const registry = { name: 'files', type: 'file', directory: '' }
    const mesh = await Mesh.open([registry])
    registry.directory = mesh.endpoints
    mkdirSync(mesh.endpoints)
    return mesh
  }

  private constructor(block: LoopbackBlock, registries: readonly object[]) {
    this.block = block
    this.registries = registries
  }

  private get endpoints(): string {
    return join(this.directory, 'endpoints')
  }

  /** What the registry of a mesh on files says of a service from now on. */
  tell(service: string, endpoints: readonly object[]): void {
    writeFileSync(join(this.endpoints, `${service}.json`), JSON.stringify({ service, endpoints }))
  }

  /** An address of this mesh that nothing else uses. */
  address(): string {
    return this.block.address(this.next++)
  }

  async httpApplication(service: string, version: string, address: string = this.address()): Promise<DemoApplication> {
    const application = await startHttpApplication(service, version, address)
    this.applications.push(application)
    return application
  }

  async lineApplication(service: string, version: string, address: string = this.address()): Promise<DemoApplication> {
    const application = await startLineApplication(service, version, address)
    this.applications.push(application)
    return application
  }

  /** Described, not started: `start()` and `ready()` are the test's. */
  host(name: string, plan: HostPlan = {}): DemoHost {
    const address = plan.applications?.[0]?.address ?? this.address()
    const host = new DemoHost({
      name,
      role: plan.role ?? 'agent',
      address,
      directory: join(this.directory, name),
      registries: this.registries,
      applications: plan.applications ?? [],
      outbound: plan.outbound ?? [],
      centers: plan.centers ?? [],
      watchdog: patient,
      ...(plan.extra === undefined ? {} : { extra: plan.extra }),
    })
    this.hosts.push(host)
    return host
  }

  async startedHost(name: string, plan: HostPlan = {}): Promise<DemoHost> {
    const host = this.host(name, plan)
    host.start()
    await host.ready()
    return host
  }

  /** Last log lines of every host, for a failed test. */
  report(): string {
    return this.hosts.map((host) => [`--- ${host.options.name}`, ...host.lastLines(60)].join('\n')).join('\n')
  }

  async close(): Promise<void> {
    await Promise.all(this.hosts.splice(0).map((host) => host.stop()))
    await Promise.all(this.applications.splice(0).map((application) => application.close()))
    await this.block.release()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** The relay address of a started center. */
export function relayOf(center: DemoHost): string {
  return `${center.options.address}:15443`
}

export const sharedPort = 15_001

const callTimeoutMs = 60_000

/** One request on a connection of its own, without retry. */
export function call(address: string, port: number, headers: Record<string, string> = {}, path = '/'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const agent = new Agent({ keepAlive: false })
    const outgoing = request({ agent, host: address, port, path, headers, timeout: callTimeoutMs }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          body: Buffer.concat(chunks).toString(),
          headers: incoming.headers,
        }),
      )
      incoming.on('error', reject)
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer after ${callTimeoutMs} ms`)))
    outgoing.on('error', reject)
    outgoing.end()
  })
}

/** Calls until the answer is as wanted, at most `timeoutMs`; answers the ms it took. Rejects with the last answer. */
export async function until(timeoutMs: number, what: string, attempt: () => Promise<boolean>): Promise<number> {
  const startedAt = performance.now()
  let last: unknown = 'never true'
  for (;;) {
    try {
      if (await attempt()) return performance.now() - startedAt
    } catch (error) {
      last = error
    }
    if (performance.now() - startedAt > timeoutMs)
      throw new Error(`${what}: not after ${timeoutMs} ms: ${String(last)}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
