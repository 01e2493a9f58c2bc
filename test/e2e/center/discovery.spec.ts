/** An agent whose registry is a center: endpoints and rules of what it uses, over the death of the center. */
import { expect } from 'chai'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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

describe('an agent whose registry is a center', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let center: DemoHost
  let agent: DemoHost
  let home: string
  let api: string
  let orders: DemoApplication
  let spare: DemoApplication

  function endpoints(folder: string, service: string, ...applications: readonly DemoApplication[]): void {
    const file = join(home, folder, `${service}.yaml`)
    const list = applications.map(({ address, port }) => ({ address, port }))
    writeFileSync(`${file}.new`, stringify({ service, endpoints: list }))
    renameSync(`${file}.new`, file)
  }
  const ask = (service: string): Promise<Answer> =>
    call(agent.options.address, sharedPort, { 'x-mesh-service': service })
  async function write(method: string, service: string, route: object): Promise<number> {
    const collection = `${api}/apis/networking.istio.io/v1/namespaces/shop/virtualservices`
    const answer = await fetch(method === 'POST' ? collection : `${collection}/${service}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: { name: service },
        spec: { hosts: [service], http: [route] },
      }),
    })
    return answer.status
  }
  const redirect = (uri: string): object => ({ redirect: { uri } })

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'hostmesh-discovery-'))
    for (const folder of ['center', 'agent']) mkdirSync(join(home, folder))
    const tokensFile = join(home, 'tokens')
    writeFileSync(tokensFile, stringify([{ user: 'host', token, role: 'admin' }]), { mode: 0o600 })
    const tokenFile = join(home, 'token')
    writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
    mesh = await Mesh.open([])
    orders = await mesh.httpApplication('orders', 'v1')
    spare = await mesh.httpApplication('orders', 'v2')
    endpoints('center', 'orders', orders)
    endpoints('center', 'cart', orders)
    endpoints('agent', 'cart', spare)
    endpoints('agent', 'ledger', spare)
    const at = mesh.address()
    api = `http://${at}:15016`
    center = await mesh.startedHost('center', {
      role: 'center',
      extra: {
        registries: [{ name: 'files', type: 'file', directory: join(home, 'center') }],
        rulesApi: { address: `${at}:15016`, tokensFile },
        xds: { address: `${at}:15010`, tokensFile },
      },
    })
    agent = await mesh.startedHost('agent', {
      extra: {
        registries: [
          { name: 'center', type: 'center', servers: [`${at}:15010`], tokenFile },
          { name: 'files', type: 'file', directory: join(home, 'agent') },
        ],
      },
    })
  })
  after(async () => {
    await mesh?.close()
    rmSync(home, { recursive: true, force: true })
  })

  const versionOf = async (service: string): Promise<string> =>
    (JSON.parse((await ask(service)).body) as { version: string }).version
  const leadsTo = (uri: string, timeoutMs = 10_000): Promise<number> =>
    until(timeoutMs, `a redirect to ${uri}`, async () =>
      String((await ask('orders')).headers['location']).endsWith(uri),
    )

  it('calls what the center knows, and what only the next registry knows', async () => {
    await until(20_000, 'orders', async () => (await versionOf('orders')) === 'v1')
    // whoever answers first serves until a registry before it speaks
    await until(20_000, 'the center, which comes first', async () => (await versionOf('cart')) === 'v1')
    expect(await versionOf('ledger'), 'the center does not know it').to.equal('v2')
  })

  it('follows a change of endpoints at the center', async () => {
    endpoints('center', 'orders', spare)
    await until(20_000, 'the new endpoint', async () => (await versionOf('orders')) === 'v2')
  })

  it('takes the rules of the services that it uses, and no others', async () => {
    expect(await write('POST', 'orders', redirect('/one'))).to.equal(201)
    expect(await write('POST', 'never-used', redirect('/none'))).to.equal(201)
    await leadsTo('/one')
    const rules = await agent.admin.get('/rules?format=json')
    expect(rules.text).to.contain('orders').and.to.not.contain('never-used')
    expect(await write('PUT', 'orders', redirect('/two'))).to.equal(200)
    await leadsTo('/two')
  })

  it('is not all right while its file of tokens lets nobody in at either port', async () => {
    const path = join(home, 'tokens')
    const good = readFileSync(path)
    const problems = async (): Promise<string> => (await center.admin.get('/ready')).text
    writeFileSync(path, '- { user: host')
    await until(10_000, 'the problem', async () => {
      const text = await problems()
      return text.includes('rulesApi.tokensFile: nobody is let in') && text.includes('xds.tokensFile: nobody is let in')
    })
    writeFileSync(path, good)
    await until(10_000, 'no problem', async () => !(await problems()).includes('tokensFile'))
  })

  it('serves on with what it knows while the center is dead, and hears afterwards what came meanwhile', async () => {
    await center.signal('generation', 'SIGKILL')
    expect(await versionOf('cart')).to.equal('v1')
    expect((await ask('orders')).headers['location']).to.match(/\/two$/)
    await until(30_000, 'the API of the center', async () => (await write('PUT', 'orders', redirect('/three'))) === 200)
    await leadsTo('/three', 30_000)
  })

  it('is refused with a token that is not known, and says so', async () => {
    writeFileSync(join(home, 'token'), `${'x'.repeat(40)}\n`)
    await center.reload()
    await until(30_000, 'the refusal in the status', async () =>
      (await agent.admin.get('/server_info?format=hostmesh')).text.includes('this token is not known'),
    )
    expect(await versionOf('cart')).to.equal('v1')
  })
})
