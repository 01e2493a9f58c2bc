/**
 * Two centers that share nothing and say different things, and agents that name both: as two registries, whose order
 * decides, and as two servers of one, of which one is heard at a time.
 */
import { expect } from 'chai'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import {
  type Answer,
  type DemoApplication,
  type DemoHost,
  Mesh,
  call,
  sharedPort,
  until,
} from '../../support/mesh/mesh.ts'

const token = 't'.repeat(40)
const field = 'x-told-by'

interface Center {
  readonly name: string
  readonly at: string
  readonly host: DemoHost
  readonly application: DemoApplication
}

describe('two centers that disagree', function () {
  this.timeout(240_000)
  let mesh: Mesh
  let home: string
  let north: Center
  let east: Center
  /** Names both, each as a registry. */
  let ordered: DemoHost
  /** Names both as servers of one registry. */
  let either: DemoHost

  async function startCenter(name: string): Promise<Center> {
    const [at, directory, tokensFile] = [mesh.address(), join(home, name), join(home, 'tokens')]
    mkdirSync(directory)
    const application = await mesh.httpApplication('orders', name)
    const endpoints = [{ address: application.address, port: application.port }]
    writeFileSync(join(directory, 'orders.yaml'), stringify({ service: 'orders', endpoints }))
    const host = await mesh.startedHost(name, {
      role: 'center',
      extra: {
        registries: [{ name: 'files', type: 'file', directory }],
        rulesApi: { address: `${at}:15016`, tokensFile },
        xds: { address: `${at}:15010`, tokensFile },
      },
    })
    return { name, at, host, application }
  }
  async function write({ at, name }: Center, rule: string, service: string): Promise<void> {
    const answer = await fetch(`http://${at}:15016/apis/networking.istio.io/v1/namespaces/shop/virtualservices`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: { name: rule },
        spec: {
          hosts: [service],
          http: [{ headers: { response: { set: { [field]: name } } }, route: [{ destination: { host: 'orders' } }] }],
        },
      }),
    })
    expect(answer.status, await answer.text()).to.equal(201)
  }
  const ask = (agent: DemoHost, service: string): Promise<Answer> =>
    call(agent.options.address, sharedPort, { 'x-mesh-service': service })
  /** By whose endpoint and by whose rule it was answered. */
  async function tellers(agent: DemoHost, service = 'orders'): Promise<string> {
    const { body, headers, status } = await ask(agent, service)
    if (status !== 200) return `status ${status}`
    return `${(JSON.parse(body) as { version: string }).version} ${String(headers[field])}`
  }
  async function rulesOf(agent: DemoHost): Promise<string[]> {
    const { rules } = (await agent.json('/rules?format=json')) as {
      rules: { source: string; name: string; state: string; inForce: boolean }[]
    }
    return rules.map(({ source, name, state, inForce }) => `${source} ${name} ${state} ${inForce}`)
  }

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'hostmesh-disagreeing-'))
    writeFileSync(join(home, 'tokens'), stringify([{ user: 'host', token, role: 'admin' }]), { mode: 0o600 })
    const tokenFile = join(home, 'token')
    writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
    mesh = await Mesh.open([])
    north = await startCenter('north')
    east = await startCenter('east')
    for (const center of [north, east]) await write(center, 'orders', 'orders')
    await write(east, 'cart', 'cart')
    const registry = (name: string, ...centers: readonly Center[]): object => ({
      name,
      type: 'center',
      servers: centers.map(({ at }) => `${at}:15010`),
      tokenFile,
    })
    ordered = await mesh.startedHost('ordered', {
      extra: { registries: [registry('north', north), registry('east', east)] },
    })
    either = await mesh.startedHost('either', { extra: { registries: [registry('centers', north, east)] } })
  })
  after(async () => {
    await mesh?.close()
    rmSync(home, { recursive: true, force: true })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  it('are decided by their order under registries, in endpoints and rules, and the rule that is not used says so', async () => {
    await until(20_000, 'the first decides', async () => (await tellers(ordered)) === 'north north')
    await until(20_000, 'what the second alone knows', async () => (await tellers(ordered, 'cart')) === 'north east')
    await until(20_000, 'the rules of both', async () => (await rulesOf(ordered)).length === 3)
    expect(await rulesOf(ordered)).to.have.members([
      'center:north orders applied true',
      'center:east cart applied true',
      'center:east orders conflict false',
    ])
    expect((await ordered.admin.get('/rules?format=json')).text).to.include(
      'the same resource comes from source center:north, which decides; this one is not used',
    )
  })

  it('are heard one at a time as servers of one registry: the other one counts when that one dies, and the log says where it differs', async () => {
    let first = ''
    await until(20_000, 'endpoints and rules of one of them', async () => {
      first = await tellers(either)
      return first === 'north north' || first === 'east east'
    })
    const [heard, other] = first === 'north north' ? [north, east] : [east, north]
    const info = async (): Promise<string> => (await either.admin.get('/server_info?format=hostmesh')).text
    expect(await info()).to.include(`${heard.at}:15010`)
    const differences = async (): Promise<string> =>
      /registry_server_differences_total\{registry="centers"\} (\d+)/.exec(
        (await either.admin.get('/metrics')).text,
      )?.[1] ?? 'none'
    expect(await differences()).to.equal('none')
    await heard.host.stop()
    await until(30_000, 'the other one', async () => (await tellers(either)) === `${other.name} ${other.name}`)
    expect(await info()).to.include(`${other.at}:15010`)
    await until(30_000, 'it is counted', async () => (await differences()) !== 'none')
    const said = either.lastLines(200).find((line) => line.includes('says otherwise'))
    expect(said).to.include(`centers: ${other.at}:15010 says otherwise than ${heard.at}:15010 did of `)
    expect(said).to.match(/public\/DEFAULT_GROUP@@orders.*rules of public\/DEFAULT_GROUP@@orders/)
  })

  it('stay in their order while the first is dead: what it said before holds', async () => {
    if (north.host.isRunning) await north.host.stop()
    await until(20_000, 'the agent has noticed', async () =>
      /north[^}]*E_REGISTRY/.test((await ordered.admin.get('/server_info?format=hostmesh')).text),
    )
    expect(await tellers(ordered)).to.equal('north north')
  })
})
