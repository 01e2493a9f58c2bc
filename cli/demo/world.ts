/**
 * Everything that the demo starts: a registry, a center, two hosts with applications, an application and a caller
 * without any agent, and traffic.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../contracts/clock.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { createNacosAdapter } from '../../registry-adapters/nacos/index.ts'
import { startEmbeddedRegistry } from '../../registry-adapters/nacos/embedded/embedded.ts'
import { type DemoApplication, startHttpApplication, startLineApplication } from '../traffic/applications.ts'
import { startCaretaker } from '../launch/caretaker.ts'
import { DemoHost } from '../launch/host.ts'
import { type LoopbackBlock, claimLoopbackBlock } from '../launch/loopback-block.ts'
import { filterPolicy, ownFilter } from './own-filter.ts'
import { type Caller, startHttpCaller, startLineCaller } from '../traffic/callers.ts'
import { httpAnswers, lineAnswers } from '../traffic/first-answer.ts'
import { centerTrust, hostTrust, joinCenter, relayPort, vaultPolicy } from './trust.ts'
import { LongCall, grpcAnswers, startGrpcApplication, startGrpcCaller } from '../traffic/grpc.ts'
import { SdkCaller } from '../traffic/sdk.ts'

export interface WorldDeps {
  readonly now: () => number
  readonly random: () => number
  /** Ends a start that is under way. */
  readonly interrupted: AbortSignal
}

/** For connections that would stay; nobody waits for them at the end of a demo. */
const stopDeadlineMs = 500
const httpRate = 40
const lineRate = 20
export const sharedPort = 15_001
const adminPort = 15_000
const registryPort = 8848

/** Rules of beta only, so that both pictures are seen: callers on alpha get every version, callers on beta a canary. */
const canary = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: orders }
spec:
  host: orders
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [orders]
  http:
    - route:
        - { destination: { host: orders, subset: v1 }, weight: 90 }
        - { destination: { host: orders, subset: v2 }, weight: 10 }
`

/** Last parts of the loopback addresses. */
const places = { registry: 1, center: 2, alpha: 3, beta: 4, plain: 5 } as const

export class DemoWorld {
  readonly alpha: DemoHost
  readonly beta: DemoHost
  readonly center: DemoHost
  readonly callers: Caller[] = []
  /** On alpha, with the SDK. */
  shop!: SdkCaller
  private readonly deps: WorldDeps
  private readonly block: LoopbackBlock
  private readonly directory: string
  private readonly applications: DemoApplication[]
  private readonly usesOwnRegistry: boolean
  private readonly registryAddress: string
  private registry: { close(): Promise<void> } | undefined
  private plainAdapter: RegistryAdapter | undefined
  private readonly endCaretaker: () => Promise<void>

  /** Starts everything; resolves when both agents and the center are ready and every caller has been answered once. */
  static async start(nacos: string | undefined, deps: WorldDeps): Promise<DemoWorld> {
    const block = await claimLoopbackBlock(deps.random)
    const applications = [
      await startHttpApplication('web', 'v1', block.address(places.alpha)),
      await startHttpApplication('orders', 'v1', block.address(places.beta)),
      await startHttpApplication('orders', 'v2', block.address(places.beta)),
      await startLineApplication('ledger', 'v1', block.address(places.beta)),
      await startGrpcApplication('prices', 'v1', block.address(places.beta)),
      await startHttpApplication('vault', 'v1', block.address(places.beta)),
      await startHttpApplication('inventory', 'v1', block.address(places.plain)),
    ]
    const world = new DemoWorld(nacos, deps, block, applications)
    try {
      await world.open()
      return world
    } catch (error) {
      await world.close()
      throw error
    }
  }

  private constructor(
    nacos: string | undefined,
    deps: WorldDeps,
    block: LoopbackBlock,
    applications: DemoApplication[],
  ) {
    this.deps = deps
    this.block = block
    this.applications = applications
    this.directory = mkdtempSync(join(tmpdir(), 'hostmesh-demo-'))
    this.endCaretaker = startCaretaker(this.directory)
    this.usesOwnRegistry = nacos === undefined
    this.registryAddress = nacos ?? `${block.address(places.registry)}:${registryPort}`
    const registries = [{ name: 'main', type: 'nacos', servers: [this.registryAddress] }]
    const trusted = block.address(places.center)
    const centers = [`${trusted}:${relayPort}`]
    const host = (name: 'alpha' | 'beta' | 'center'): DemoHost =>
      new DemoHost({
        name,
        role: name === 'center' ? 'center' : 'agent',
        address: block.address(places[name]),
        directory: join(this.directory, name),
        registries,
        centers,
        applications: applications.filter((one) => one.address === block.address(places[name])),
        // whoever runs the demo calls from alpha as `web`, and from beta as nobody in particular
        ...(name === 'alpha' ? { user: process.getuid?.() } : {}),
        ...(name === 'beta' ? { rules: `${canary}---\n${vaultPolicy}---\n${filterPolicy}` } : {}),
        extra:
          name === 'center'
            ? centerTrust(trusted)
            : {
                ...hostTrust(trusted, join(this.directory, name)),
                ...(name === 'beta' ? ownFilter(join(this.directory, name)) : {}),
              },
        outbound:
          name === 'alpha'
            ? [
                { service: 'orders', protocol: 'http' },
                { service: 'prices', protocol: 'grpc' },
                { service: 'ledger', protocol: 'tcp' },
              ]
            : [],
      })
    this.alpha = host('alpha')
    this.beta = host('beta')
    this.center = host('center')
  }

  get hosts(): readonly DemoHost[] {
    return [this.alpha, this.beta, this.center]
  }

  get hasRegistry(): boolean {
    return this.registry !== undefined || !this.usesOwnRegistry
  }

  get canStopRegistry(): boolean {
    return this.usesOwnRegistry
  }

  /** A call from alpha that goes on until it is ended. */
  async longCall(): Promise<LongCall> {
    return new LongCall(this.alpha.options.address, await this.alpha.port('prices'))
  }

  async stopCenter(): Promise<void> {
    await this.center.stop(stopDeadlineMs)
  }

  async startCenter(): Promise<void> {
    this.center.start()
    await this.center.ready()
  }

  async startRegistry(): Promise<void> {
    if (!this.usesOwnRegistry || this.registry !== undefined) return
    this.registry = await startEmbeddedRegistry({ host: this.block.address(places.registry), port: registryPort })
  }

  async stopRegistry(): Promise<void> {
    const registry = this.registry
    this.registry = undefined
    await registry?.close()
  }

  /** One more instance of a service on beta, as a deployment would bring it: an application and a file. */
  async deployOnBeta(service: string, version: string): Promise<void> {
    const application = await startHttpApplication(service, version, this.block.address(places.beta))
    this.applications.push(application)
    this.beta.addApplication(application, `${service}-${version}`)
  }

  async close(): Promise<void> {
    for (const caller of this.callers) caller.stop()
    await Promise.all(this.hosts.map((host) => host.stop(stopDeadlineMs)))
    await this.plainAdapter?.close()
    await this.stopRegistry()
    await Promise.all(this.applications.map((application) => application.close()))
    await this.block.release()
    rmSync(this.directory, { recursive: true, force: true })
    await this.endCaretaker()
  }

  private async open(): Promise<void> {
    await this.startRegistry()
    this.announcePlainApplication()
    const agents = [this.alpha, this.beta]
    this.center.start()
    await this.orInterrupted(Promise.all(agents.map((host) => joinCenter(host, this.center))))
    for (const host of agents) host.start()
    await this.orInterrupted(Promise.all(this.hosts.map((host) => host.ready())))
    await this.orInterrupted(this.startCallers())
  }

  private orInterrupted(work: Promise<unknown>): Promise<unknown> {
    const { interrupted } = this.deps
    return Promise.race([
      work,
      new Promise((_, reject) => {
        const end = (): void => reject(new MeshError('E_GENERATION_FAILED', 'interrupted while it started'))
        if (interrupted.aborted) end()
        else interrupted.addEventListener('abort', end, { once: true })
      }),
    ])
  }

  private async startCallers(): Promise<void> {
    const { now } = this.deps
    const shared = (host: DemoHost) => ({ address: host.options.address, port: sharedPort, rate: httpRate, now })
    const ordersPort = await this.alpha.port('orders')
    const pricesPort = await this.alpha.port('prices')
    const ledgerPort = await this.alpha.port('ledger')
    const alpha = this.alpha.options.address
    await Promise.all([
      httpAnswers(alpha, ordersPort, 'orders'),
      httpAnswers(alpha, sharedPort, 'inventory'),
      httpAnswers(this.beta.options.address, sharedPort, 'orders'),
      httpAnswers(alpha, sharedPort, 'vault'),
      grpcAnswers(alpha, pricesPort),
      lineAnswers(alpha, ledgerPort),
    ])
    this.shop = await SdkCaller.start({
      from: 'shop@alpha',
      to: 'orders',
      agent: `${alpha}:${adminPort}`,
      registry: this.registryAddress,
      dataDirectory: join(this.directory, 'shop'),
      rate: httpRate,
      now,
    })
    this.callers.push(
      this.shop,
      startHttpCaller(
        { from: 'web@alpha', to: 'orders', address: alpha, port: ordersPort, rate: httpRate, now },
        undefined,
      ),
      startHttpCaller({ from: 'web@alpha', to: 'inventory', ...shared(this.alpha) }, 'inventory'),
      startHttpCaller({ from: 'report@beta', to: 'orders', ...shared(this.beta) }, 'orders'),
      startGrpcCaller({ from: 'web@alpha', to: 'prices', address: alpha, port: pricesPort, rate: lineRate, now }),
      startLineCaller({ from: 'web@alpha', to: 'ledger', address: alpha, port: ledgerPort, rate: lineRate, now }),
    )
  }

  /** What a host without an agent does: an ordinary client registers the application at its own port. */
  private announcePlainApplication(): void {
    const inventory = this.applications.find((application) => application.service === 'inventory')
    if (inventory === undefined) return
    const adapter = createNacosAdapter(
      {
        name: 'plain',
        servers: [this.registryAddress],
        namespace: 'public',
        credentials: { kind: 'none' },
        endpoints: { allowLoopback: true, allowLinkLocal: false, isOwnPort: () => false },
      },
      this.adapterDeps(),
    )
    this.plainAdapter = adapter
    adapter.start()
    adapter.register({
      service: { namespace: 'public', group: 'DEFAULT_GROUP', name: inventory.service },
      address: inventory.address,
      port: inventory.port,
      weight: 1,
      cluster: 'DEFAULT',
      healthy: true,
      enabled: true,
      metadata: { version: inventory.version },
    })
  }

  private adapterDeps(): AdapterDeps {
    const silent = (): void => {}
    return {
      clock: systemClock,
      random: this.deps.random,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      metrics: { count: silent, gauge: silent },
    }
  }
}
