import { expect } from 'chai'
import { applyRules } from '../../../cli/commands/told-rules.ts'
import { createOutput } from '../../../cli/output.ts'
import { writeFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { Mesh, until, type DemoHost } from '../../support/mesh/mesh.ts'
import { needsNacos, sharedNacos } from '../../support/nacos/server.ts'

const rulesPath = '/apis/networking.istio.io/v1/namespaces/public/virtualservices'

describe('two centers that share their rules in a real Nacos', function () {
  this.timeout(240_000)
  let mesh: Mesh
  let one: DemoHost
  let other: DemoHost

  before(async function () {
    await needsNacos(this)
    const { address } = await sharedNacos('2.3.1')
    mesh = await Mesh.openOnFiles()
    const store = { type: 'nacos', servers: [address], prefix: `hostmesh.shared-${process.pid}` }
    one = await mesh.startedHost('one', { role: 'center', extra: { store } })
    other = await mesh.startedHost('other', { role: 'center', extra: { store } })
    // a center serves before its store has answered
    for (const host of [one, other])
      await until(60_000, 'its store is read', async () => (await host.admin.get(rulesPath)).status === 200)
  })

  after(() => mesh?.close())

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh.report())
  })

  async function apply(host: DemoHost, name: string, timeout: string): Promise<void> {
    const rule = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name, namespace: 'public' },
      spec: { hosts: [name], http: [{ timeout, route: [{ destination: { host: name } }] }] },
    }
    const path = join(mesh.directory, `${name}.yaml`)
    writeFileSync(path, stringify(rule))
    const said: string[] = []
    const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (said.push(chunk.toString()), done()) })
    const output = createOutput(false, { out: sink, err: sink })
    const code = await applyRules({ admin: host.admin, output, runDir: undefined }, [path], undefined)
    expect(code, said.join('')).to.equal(0)
  }
  const rulesOf = async (host: DemoHost): Promise<string[]> =>
    ((await host.json('/rules?format=json')) as { rules: { name: string; state: string }[] }).rules.map(
      ({ name, state }) => `${name} ${state}`,
    )

  it('a change at one counts on the other, in both directions', async () => {
    await apply(one, 'orders', '2s')
    await until(15_000, 'the other has it', async () => (await rulesOf(other)).includes('orders applied'))
    await apply(other, 'stock', '3s')
    await until(15_000, 'the first has it', async () => (await rulesOf(one)).includes('stock applied'))
  })

  it('what one acknowledged is there when it died at once, and it finds all of it when it is back', async () => {
    await apply(one, 'last', '1s')
    await one.signal('control', 'SIGKILL')
    await until(15_000, 'the other has it', async () => (await rulesOf(other)).includes('last applied'))
    await apply(other, 'meanwhile', '1s')
    await until(30_000, 'the first has all', async () => {
      const rules = await rulesOf(one)
      return ['orders', 'stock', 'last', 'meanwhile'].every((name) => rules.includes(`${name} applied`))
    })
  })
})
