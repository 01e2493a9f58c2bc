/** A center with the rules API and discovery, and an agent of another host that takes both from it. */
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

export class CenterWithAgent {
  readonly mesh: Mesh
  readonly center: DemoHost
  readonly agent: DemoHost
  private readonly api: string
  private readonly home: string

  static async open(): Promise<CenterWithAgent> {
    const mesh = await Mesh.openOnFiles()
    const home = mkdtempSync(join(tmpdir(), 'hostmesh-center-agent-'))
    const tokensFile = join(home, 'tokens')
    const tokenFile = join(home, 'token')
    writeFileSync(tokensFile, stringify([{ user: 'host', token, role: 'admin' }]), { mode: 0o600 })
    writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
    const orders = await mesh.httpApplication('orders', 'v1')
    mesh.tell('orders', [{ address: orders.address, port: orders.port }])
    const at = mesh.address()
    const center = mesh.host('center', {
      role: 'center',
      extra: {
        rulesApi: { address: `${at}:15016`, tokensFile },
        xds: { address: `${at}:15010`, tokensFile },
      },
    })
    const agent = mesh.host('agent', {
      extra: { registries: [{ name: 'center', type: 'center', servers: [`${at}:15010`], tokenFile }] },
    })
    const opened = new CenterWithAgent(mesh, center, agent, `http://${at}:15016`, home)
    try {
      for (const host of [center, agent]) {
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

  private constructor(mesh: Mesh, center: DemoHost, agent: DemoHost, api: string, home: string) {
    this.mesh = mesh
    this.center = center
    this.agent = agent
    this.api = api
    this.home = home
  }

  /** Where the center is asked for discovery, and with what. */
  get discovery() {
    const servers = [{ host: new URL(this.api).hostname, port: 15010 }]
    return { servers, token: () => token }
  }

  /** One request for `orders` at the agent. */
  ask(): ReturnType<typeof call> {
    return call(this.agent.options.address, sharedPort, { 'x-mesh-service': 'orders' })
  }

  /** Creates the rule without `revision`, else replaces it over that one. Rejects when no whole answer came. */
  async write(name: string, round: number, revision?: string): Promise<{ status: number; rule: WrittenRule }> {
    const answer = await fetch(revision === undefined ? this.collection : `${this.collection}/${name}`, {
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
  async read(name: string): Promise<WrittenRule | undefined> {
    const answer = await fetch(`${this.collection}/${name}`, { headers: { authorization: `Bearer ${token}` } })
    const rule = (await answer.json()) as WrittenRule
    if (answer.status !== 200 && answer.status !== 404) throw new Error(`${name}: status ${answer.status}`)
    return answer.status === 404 ? undefined : rule
  }

  async close(): Promise<void> {
    await this.mesh.close()
    rmSync(this.home, { recursive: true, force: true })
  }

  private get collection(): string {
    return `${this.api}/apis/networking.istio.io/v1/namespaces/shop/virtualservices`
  }
}
