/** Centers with the rules API and discovery, and an agent of another host that takes both from one of them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type DemoHost, Mesh, call, sharedPort, until } from '../mesh/mesh.ts'

const token = 'w'.repeat(40)
/** In each answer of `orders` while a rule of `orderRule` is in force. */
export const roundField = 'x-round'

export interface WrittenRule {
  readonly metadata: { readonly resourceVersion: string; readonly annotations?: Readonly<Record<string, string>> }
  readonly spec: {
    readonly http: readonly {
      readonly headers: { readonly response: { readonly set: Readonly<Record<string, string>> } }
    }[]
  }
}

export interface CentersPlan {
  /** `store:` of their configuration, by their place; absent = files of each. */
  readonly store?: (at: number) => object
  /** Default 1. */
  readonly centers?: number
}

export class CenterWithAgent {
  readonly mesh: Mesh
  /** At least one. */
  readonly centers: readonly DemoHost[]
  readonly agent: DemoHost
  /** URLs of their rules API. */
  private readonly apis: readonly string[]
  private readonly home: string

  static async open({ store, centers: count = 1 }: CentersPlan = {}): Promise<CenterWithAgent> {
    const mesh = await Mesh.openOnFiles()
    const home = mkdtempSync(join(tmpdir(), 'hostmesh-center-agent-'))
    const tokensFile = join(home, 'tokens')
    const tokenFile = join(home, 'token')
    writeFileSync(tokensFile, stringify([{ user: 'host', token, role: 'admin' }]), { mode: 0o600 })
    writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
    const orders = await mesh.httpApplication('orders', 'v1')
    mesh.tell('orders', [{ address: orders.address, port: orders.port }])
    const addresses = Array.from({ length: count }, () => mesh.address())
    const centers = addresses.map((at, index) =>
      mesh.host(`center-${index + 1}`, {
        role: 'center',
        extra: {
          rulesApi: { address: `${at}:15016`, tokensFile },
          xds: { address: `${at}:15010`, tokensFile },
          ...(store === undefined ? {} : { store: store(index) }),
        },
      }),
    )
    const servers = addresses.map((at) => `${at}:15010`)
    const agent = mesh.host('agent', {
      extra: { registries: [{ name: 'center', type: 'center', servers, tokenFile }] },
    })
    const apis = addresses.map((at) => `http://${at}:15016`)
    const opened = new CenterWithAgent(mesh, centers, agent, apis, home)
    try {
      for (const host of [...centers, agent]) {
        host.start()
        await host.ready()
      }
      await until(20_000, 'orders', async () => (await opened.ask()).status === 200)
    } catch (error) {
      await opened.close()
      throw error
    }
    return opened
  }

  private constructor(
    mesh: Mesh,
    centers: readonly DemoHost[],
    agent: DemoHost,
    apis: readonly string[],
    home: string,
  ) {
    this.mesh = mesh
    this.centers = centers
    this.agent = agent
    this.apis = apis
    this.home = home
  }

  /** The first. */
  get center(): DemoHost {
    return this.centers[0]!
  }

  /** Where the first center is asked for discovery, and with what. */
  get discovery() {
    const servers = [{ host: new URL(this.apis[0]!).hostname, port: 15010 }]
    return { servers, token: () => token }
  }

  /** `ADDRESS:PORT` at which a center is asked for discovery. */
  discoveryOf(at: number): string {
    return `${new URL(this.apis[at]!).hostname}:15010`
  }

  /** One request for `orders` at the agent. */
  ask(): ReturnType<typeof call> {
    return call(this.agent.options.address, sharedPort, { 'x-mesh-service': 'orders' })
  }

  /** At a center: creates the rule without `revision`, else replaces that one. Rejects when no whole answer came. */
  async write(name: string, round: number, revision?: string, at = 0): Promise<{ status: number; rule: WrittenRule }> {
    const collection = this.collection(at)
    const answer = await fetch(revision === undefined ? collection : `${collection}/${name}`, {
      method: revision === undefined ? 'POST' : 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: {
          name,
          annotations: { round: String(round) },
          ...(revision === undefined ? {} : { resourceVersion: revision }),
        },
        spec: {
          hosts: [name],
          http: [
            {
              headers: { response: { set: { [roundField]: String(round) } } },
              route: [{ destination: { host: 'orders' } }],
            },
          ],
        },
      }),
    })
    return { status: answer.status, rule: (await answer.json()) as WrittenRule }
  }

  /** Undefined = there is none. Rejects while the center is away. */
  async read(name: string, at = 0): Promise<WrittenRule | undefined> {
    const answer = await fetch(`${this.collection(at)}/${name}`, { headers: { authorization: `Bearer ${token}` } })
    const rule = (await answer.json()) as WrittenRule
    if (answer.status !== 200 && answer.status !== 404) throw new Error(`${name}: status ${answer.status}`)
    return answer.status === 404 ? undefined : rule
  }

  async close(): Promise<void> {
    await this.mesh.close()
    rmSync(this.home, { recursive: true, force: true })
  }

  private collection(at: number): string {
    return `${this.apis[at]!}/apis/networking.istio.io/v1/namespaces/shop/virtualservices`
  }
}

/** The watchdog and all that it started, as when the machine loses its power; the service manager starts it again. */
export async function killWhole(host: DemoHost): Promise<void> {
  const { generations } = await host.watchdogState()
  const pids = generations.flatMap(({ children }) => children.map(({ pid }) => pid))
  host.killWatchdog()
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  await host.whenExited()
  host.start()
}
