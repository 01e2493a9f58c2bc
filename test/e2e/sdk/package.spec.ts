/** The package that applications install, as they do: its own types, their own Node, the example as it stands. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect } from 'chai'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import type { EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import { createMesh } from '../../../sdk/index.ts'
import type { Mesh as SdkMesh } from '../../../sdk/index.ts'
import { call, Mesh, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { boltFrame, boltRequest } from '../../support/rpc/bolt-frames.ts'
import { startApplication } from '../../support/rpc/far-sides.ts'
import type { RpcApplication } from '../../support/rpc/far-sides.ts'
import { startCounting } from '../../support/sdk/counting-application.ts'
import type { CountingApplication } from '../../support/sdk/counting-application.ts'
import { agentOf, startSdkHost, whenRegistered } from '../../support/sdk/sdk-host.ts'
import { installSdk, usersNode } from '../../support/sdk/installed-package.ts'

describe('the package of the SDK', function () {
  this.timeout(120_000)
  let folder: string
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let host: DemoHost
  let provider: SdkMesh
  let orders: CountingApplication
  let rpc: RpcApplication
  let shop: ChildProcess | undefined

  before(async () => {
    folder = installSdk(mkdtempSync(join(tmpdir(), 'hm-sdk-package-')))
    registry = await startEmbeddedRegistry()
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    host = await startSdkHost(mesh)
    const { address } = host.options
    orders = await startCounting(address, 'orders')
    rpc = await startApplication(new BoltCodec(), () => boltFrame({ type: 0, content: Buffer.from('pong') }))
    provider = createMesh({
      application: 'provider',
      dataDirectory: folder,
      mode: 'direct',
      nacos: { servers: [registry.address], allowLoopbackEndpoints: true },
    })
    provider.register({ service: 'orders', address, port: orders.port, protocol: 'http' })
    provider.register({ service: 'com.shop.Ping', address: '127.0.0.1', port: rpc.port, protocol: 'bolt' })
    await whenRegistered(provider)
  })

  after(async () => {
    shop?.kill('SIGKILL')
    await provider?.close()
    await rpc?.close()
    await orders?.close()
    await mesh?.close()
    await registry?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  it('has no dependency, and types by which the snippets of its documentation compile', () => {
    const about = JSON.parse(readFileSync(join(folder, 'node_modules/@hostmesh/sdk/package.json'), 'utf8')) as Record<
      string,
      unknown
    >
    expect(about).to.not.have.any.keys('dependencies', 'scripts', 'optionalDependencies')
    const snippets = [...readFileSync('docs/sdk.md', 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text!)
    expect(snippets).to.have.length.above(3)
    for (const [at, text] of snippets.entries()) writeFileSync(join(folder, `snippet-${at}.mts`), text)
    symlinkSync(resolve('node_modules/@types'), join(folder, 'node_modules/@types'))
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node']
    const files = snippets.map((_, at) => `snippet-${at}.mts`)
    const tsc = resolve('node_modules/typescript/bin/tsc')
    const ran = spawnSync(process.execPath, [tsc, ...options, ...files], { cwd: folder, encoding: 'utf8' })
    expect(ran.stdout).to.equal('')
    expect(ran.status).to.equal(0)
  })

  it('calls, registers and changes its mode under the Node of its users: the example', async () => {
    copyFileSync('examples/sdk/shop.mjs', join(folder, 'shop.mjs'))
    const { address } = host.options
    const started = spawn(usersNode(), ['shop.mjs'], {
      cwd: folder,
      env: { AGENT: agentOf(host), DATA: folder, HOST: address, NACOS: registry.address, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    shop = started
    let said = ''
    started.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    await until(30_000, 'it listens', () => Promise.resolve(said.includes('listening on ')))
    const port = Number(/listening on (\d+)/.exec(said)![1])
    const served = async (): Promise<string> => (await call(address, port)).body.trim()
    await until(30_000, 'it calls by the agent', async () => (await served()) === 'orders by agent')
    started.kill('SIGUSR1')
    await until(30_000, 'it calls directly', async () => (await served()) === 'orders by direct')
    started.kill('SIGUSR2')
    await until(30_000, 'it calls by the agent', async () => (await served()) === 'orders by agent')
    started.kill('SIGTERM')
    const [code] = (await once(started, 'exit')) as [number | null]
    expect(code).to.equal(0)
  })

  it('calls a private RPC by the agent and directly, under ids that its callers chose', async () => {
    const request = boltRequest('com.shop.Ping', 'ping', { id: 77 })
    writeFileSync(
      join(folder, 'ping.mjs'),
      `import { bolt, createMesh } from '@hostmesh/sdk'
       const [agent, nacos, dataDirectory, request] = process.argv.slice(2)
       const mesh = createMesh({
         application: 'ping', agent, dataDirectory, mode: 'mesh',
         nacos: { servers: [nacos], allowLoopbackEndpoints: true },
       })
       await mesh.ready()
       const replies = []
       const client = mesh.rpc(bolt())
       for (const mode of ['mesh', 'direct']) {
         mesh.setMode(mode)
         while (replies.length > 0 && mesh.status().services[0].activeMode !== mode) await new Promise((go) => setTimeout(go, 20))
         const reply = await client.call('com.shop.Ping', Buffer.from(request, 'hex'))
         replies.push(reply.toString('hex'))
       }
       console.log(JSON.stringify({ replies, served: mesh.status().calls.served }))
       await mesh.close()`,
    )
    const argv = ['ping.mjs', agentOf(host), registry.address, folder, request.toString('hex')]
    const child = spawn(usersNode(), argv, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    // what it said may come behind its exit
    const [code] = (await once(child, 'close')) as [number | null]
    expect(code, said).to.equal(0)
    const { replies, served } = JSON.parse(said) as { replies: string[]; served: object }
    const wanted = boltFrame({ type: 0, content: Buffer.from('pong'), id: 77 }).toString('hex')
    expect(replies).to.deep.equal([wanted, wanted])
    expect(served).to.deep.equal({ agent: 1, center: 0, direct: 0, registry: 1 })
  })
})
