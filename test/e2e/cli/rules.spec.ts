import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFile } from 'node:child_process'
import { expect } from 'chai'
import { type DemoHost, Mesh, call, sharedPort, until } from '../../support/mesh/mesh.ts'
import { type RunningNacos, needsNacos, sharedNacos } from '../../support/nacos/server.ts'

interface Ran {
  readonly code: number
  readonly out: string
}

function hostmesh(...argv: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['cli/main.ts', ...argv], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, out: stdout + stderr })
    })
  })
}

const redirect = (status: number): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [orders]
  http:
    - directResponse: { status: ${status} }
`

describe('hostmesh rules with a real Nacos', function () {
  this.timeout(120_000)
  let nacos: RunningNacos
  let mesh: Mesh
  let alpha: DemoHost
  let folder: string

  before(async function () {
    await needsNacos(this)
    nacos = await sharedNacos()
    const namespace = `rules-${process.pid}`
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [nacos.address], namespace, rulesGroup: 'MESH' }])
    const orders = await mesh.httpApplication('orders', 'v1')
    alpha = await mesh.startedHost('alpha', {
      applications: [orders],
      outbound: ['orders', 'PAY@@ledger'].map((service) => ({ service, protocol: 'http' })),
    })
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-rules-'))
  })

  after(async () => {
    await mesh?.close()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  function file(name: string, text: string): string {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  }

  const status = async (): Promise<number> => (await call(alpha.options.address, sharedPort, { host: 'orders' })).status

  it('pushes a rule that the running agent applies without a restart', async () => {
    await until(15_000, 'orders answers', async () => (await status()) === 200)
    const path = file('orders.yaml', redirect(418))
    const differs = await hostmesh('rules', 'diff', path, '-c', alpha.configPath)
    expect(differs.code, differs.out).to.equal(1)
    const pushed = await hostmesh('rules', 'push', path, '-c', alpha.configPath)
    expect(pushed.code, pushed.out).to.equal(0)
    expect(pushed.out).to.include('hostmesh.service.orders\tcreated')
    await until(10_000, 'the rule is applied', async () => (await status()) === 418)
    expect((await hostmesh('rules', 'diff', path, '-c', alpha.configPath)).code).to.equal(0)
  })

  it('refuses a broken rule with its place before anything is written', async () => {
    const path = file('broken.yaml', redirect(418).replace('status: 418', 'status: many'))
    const pushed = await hostmesh('rules', 'push', path, '-c', alpha.configPath)
    expect(pushed.code).to.equal(3)
    expect(pushed.out).to.include('broken.yaml:7:')
    expect(await status()).to.equal(418)
  })

  const publish = async (dataId: string, content: string): Promise<void> => {
    const body = new URLSearchParams({ dataId, group: 'MESH', namespaceId: `rules-${process.pid}`, content })
    expect((await fetch(`${nacos.url}/v2/cs/config`, { method: 'POST', body })).status).to.equal(200)
  }

  it('keeps the last good version when somebody writes a broken rule past the command', async () => {
    await publish('hostmesh.service.orders', 'kind: nonsense')
    await until(10_000, 'the status says rejected', async () => {
      return (await alpha.admin.get('/rules?format=json')).text.includes('rejected')
    })
    expect(await status()).to.equal(418)
  })

  it('pulls what is stored', async () => {
    const pulled = await hostmesh('rules', 'pull', 'orders', '--directory', folder, '-c', alpha.configPath)
    expect(pulled.code, pulled.out).to.equal(0)
    expect(readFileSync(join(folder, 'hostmesh.service.orders.yaml'), 'utf8')).to.equal('kind: nonsense')
  })

  it('pulls without names what is stored of all services that registry and configuration know', async () => {
    await publish('hostmesh.mesh', 'of: the mesh')
    await publish('hostmesh.service-of.PAY..ledger', 'of: ledger')
    const all = join(folder, 'all')
    const pulled = await hostmesh('rules', 'pull', '--directory', all, '-c', alpha.configPath)
    expect(pulled.code, pulled.out).to.equal(0)
    const files = ['hostmesh.mesh.yaml', 'hostmesh.service-of.PAY..ledger.yaml', 'hostmesh.service.orders.yaml']
    expect(readdirSync(all).toSorted()).to.deep.equal(files)
  })
})
