/** A center and three hosts that report to it and take their rules from it, with steady calls at each of them. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { SteadyCalls } from '../mesh/steady-calls.ts'
import { type DemoHost, Mesh, call, sharedPort, until } from '../mesh/mesh.ts'

const admin = 'a'.repeat(40)
const names = ['h1', 'h2', 'h3'] as const
const callers = 4
const pauseMs = 10

export class ReportingFleet {
  readonly names = names
  readonly mesh: Mesh
  readonly agents = new Map<string, DemoHost>()
  readonly calls = new Map<string, SteadyCalls>()
  center!: DemoHost

  private constructor(mesh: Mesh) {
    this.mesh = mesh
  }

  /** Of them `h1` has the label `ring: canary`. `store`: of the center; absent = files of its own. */
  static async open(store?: object): Promise<ReportingFleet> {
    const fleet = new ReportingFleet(await Mesh.openOnFiles())
    try {
      await fleet.start(store)
    } catch (error) {
      await fleet.close()
      throw error
    }
    return fleet
  }

  private async start(store: object | undefined): Promise<void> {
    const { mesh, agents } = this
    for (const name of ['orders', 'billing']) {
      const application = await mesh.httpApplication(name, 'v1')
      mesh.tell(name, [{ address: application.address, port: application.port }])
    }
    const tokensFile = join(mesh.directory, 'tokens')
    const tokenOf = (name: string): string => name.repeat(20)
    const logins = names.map((name) => ({ user: name, token: tokenOf(name), role: 'host' }))
    writeFileSync(tokensFile, stringify([{ user: 'root', token: admin, role: 'admin' }, ...logins]), { mode: 0o600 })
    const at = mesh.address()
    this.center = await this.startCenter('center', at, store)
    for (const name of names) {
      const tokenFile = join(mesh.directory, `token-of-${name}`)
      writeFileSync(tokenFile, `${tokenOf(name)}\n`, { mode: 0o600 })
      const address = mesh.address()
      const host = mesh.host(name, {
        extra: {
          host: { name, address, labels: { ring: name === 'h1' ? 'canary' : 'all' } },
          outbound: { http: `${address}:15001`, address },
          inbound: { address },
          admin: { address: `${address}:15000` },
          registries: [{ name: 'center', type: 'center', servers: [`${at}:15010`], tokenFile, node: 'somebody' }],
          center: { reports: { servers: [`${at}:15016`], tokenFile, interval: '1s' } },
        },
      })
      Object.assign(host.options, { address })
      agents.set(name, host)
      host.start()
    }
    await Promise.all([...agents.values()].map((host) => host.ready()))
    for (const name of names)
      await until(20_000, `orders at ${name}`, async () => (await this.ask(name))?.status === 200)
    await until(20_000, 'three reports', async () => {
      const { text } = await this.center.admin.get('/hosts?format=json')
      return names.every((name) => text.includes(`"host": "${name}"`))
    })
    for (const name of names) {
      const { address } = agents.get(name)!.options
      this.calls.set(name, new SteadyCalls({ address, port: sharedPort, service: 'orders' }, callers, pauseMs))
    }
  }

  /** Nobody reports to one that is started beside the first. */
  startCenter(name: string, at: string, store: object | undefined): Promise<DemoHost> {
    const tokensFile = join(this.mesh.directory, 'tokens')
    return this.mesh.startedHost(name, {
      role: 'center',
      extra: {
        rulesApi: { address: `${at}:15016`, tokensFile },
        xds: { address: `${at}:15010`, tokensFile },
        ...(store === undefined ? {} : { store }),
      },
    })
  }

  /** The command, with JSON as its answer, by the configuration of the center or of a host. */
  hostmesh(words: readonly string[], at: DemoHost = this.center): Promise<string> {
    return new Promise((resolve) => {
      const argv = ['cli/main.ts', '--json', ...words, '-c', at.configPath]
      execFile(process.execPath, argv, (_error, stdout, stderr) => resolve(`${stdout}${stderr}`))
    })
  }

  /** A VirtualService of `orders`, which lies in `shop`. */
  rule(http: object, host = 'orders'): string {
    const route = [{ destination: { host } }]
    return this.file({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'orders', namespace: 'shop' },
      spec: { hosts: ['orders'], http: [{ ...http, route }] },
    })
  }

  file(rule: object): string {
    const path = join(this.mesh.directory, 'rule.yaml')
    writeFileSync(path, stringify(rule))
    return path
  }

  ask(name: string) {
    return call(this.agents.get(name)!.options.address, sharedPort, { 'x-mesh-service': 'orders' }).catch(
      () => undefined,
    )
  }

  failedAt(name: string): number {
    return this.calls.get(name)!.counts.failed
  }

  async close(): Promise<void> {
    await Promise.all([...this.calls.values()].map((one) => one.stop()))
    await this.mesh.close()
  }
}
