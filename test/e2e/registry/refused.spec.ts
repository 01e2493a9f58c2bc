/** A real agent whose registry lets it in and refuses everything: a wrong password. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { type DemoHost, Mesh, until } from '../../support/mesh/mesh.ts'
import { needsNacos, startNacos, type RunningNacos } from '../../support/nacos/server.ts'

describe('an agent whose registry refuses everything', function () {
  this.timeout(180_000)
  let server: RunningNacos
  let mesh: Mesh
  let agent: DemoHost
  let passwordFile: string

  before(async function () {
    await needsNacos(this)
    server = await startNacos({ auth: true })
    const sections: object[] = []
    mesh = await Mesh.open(sections)
    const usernameFile = join(mesh.directory, 'username')
    passwordFile = join(mesh.directory, 'password')
    writeFileSync(usernameFile, 'nacos\n', { mode: 0o600 })
    writeFileSync(passwordFile, 'not-the-password\n', { mode: 0o600 })
    sections.push({ name: 'main', type: 'nacos', servers: [server.address], usernameFile, passwordFile })
    agent = mesh.host('agent', {
      applications: [await mesh.httpApplication('orders', 'v1')],
      outbound: [{ service: 'billing', protocol: 'http' }],
      extra: { endpoints: { allowLoopbackEndpoints: true, staleAfter: '1s' } },
    })
    agent.start()
    await agent.ready()
  })
  after(async () => {
    await mesh?.close()
    await server?.stop()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const problems = async (): Promise<string> =>
    ((await agent.json('/ready?format=json')) as { problems: string[] }).problems.join('\n')
  const metric = async (name: string): Promise<number> => {
    const { text } = await agent.admin.get('/stats/prometheus')
    const line = text.split('\n').find((one) => one.startsWith(`${name}{`) && one.includes('registry="main"'))
    return Number(line?.split(' ')[1])
  }

  it('says in readiness, metrics and log which credentials are refused for what, and since when', async () => {
    await until(30_000, 'the reason', async () => (await problems()).includes('1 of 1 registrations'))
    const reason = (await problems()).split('\n').find((one) => one.startsWith('E_REGISTRY_DENIED'))
    expect(reason).to.match(
      /main: it refuses 1 of 1 subscriptions, 1 of 1 registrations, asked as user "nacos", since 20\d\d-/,
    )
    expect(reason).to.include('403')
    await until(30_000, 'the alarm', async () => (await metric('hostmesh_registry_stale')) === 1)
    expect(await metric('hostmesh_registry_up')).to.equal(0)
    const log = agent.lastLines(200).join('\n')
    expect(log).to.include('main: it refuses').and.to.include('"code":"E_REGISTRY_DENIED"')
    expect(log).to.not.include('not-the-password')
  })

  it('goes on by itself when the file holds the right password', async () => {
    writeFileSync(`${passwordFile}.new`, 'nacos\n', { mode: 0o600 })
    renameSync(`${passwordFile}.new`, passwordFile)
    const took = await until(
      30_000,
      'a registry that answers',
      async () => (await metric('hostmesh_registry_up')) === 1,
    )
    await until(30_000, 'no problem', async () => !(await problems()).includes('E_REGISTRY'))
    expect(await metric('hostmesh_registry_stale')).to.equal(0)
    console.log(`      after ${Math.round(took)} ms`)
  })
})
