/** A whole host whose configuration describes a protocol, from the file to the answer, and what its command says. */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { parse } from 'yaml'

import { mainstayDescription, mainstayFrame, mainstayRequest } from '../../support/rpc/mainstay.ts'
import { DeclaredCodec } from '../../../rpc/declared/declared.ts'
import { inboundPort } from '../../support/mesh/host-facts.ts'
import { Mesh } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import type { RpcApplication } from '../../support/rpc/far-sides.ts'

const codec = new DeclaredCodec('mainstay', mainstayDescription())
const rules = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [shop.Orders]
  http:
    - name: blue
      match: [{ headers: { lane: { exact: blue } } }]
      route: [{ destination: { host: shop.Blue } }]
    - name: rest
      route: [{ destination: { host: shop.Orders } }]
`

/** Before the local application `stock`: nobody calls `wipe`. And nobody here calls `close` of `shop.Orders`. */
const policies = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-wipe, namespace: public }
spec: { selector: { matchLabels: { app: stock } }, action: DENY, rules: [{ to: [{ operation: { paths: [/stock/wipe] } }] }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-close, namespace: public, annotations: { hostmesh.io/side: Outbound } }
spec:
  targetRefs: [{ kind: Service, name: shop.Orders }]
  action: DENY
  rules: [{ to: [{ operation: { paths: [/shop.Orders/close] } }] }]
`

describe('a whole host with a described protocol', function () {
  this.timeout(60_000)
  let mesh: Mesh
  let folder: string
  let host: DemoHost
  const applications: RpcApplication[] = []
  let stock: RpcApplication

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hm-rpc-'))
    for (const name of ['Orders', 'Blue']) {
      const application = await startApplication(codec, () => mainstayFrame({ type: 3, content: Buffer.from(name) }))
      applications.push(application)
      const endpoints = [
        { address: '127.0.0.1', port: application.port, metadata: { 'hostmesh.protocol': 'mainstay' } },
      ]
      writeFileSync(join(folder, `${name}.json`), JSON.stringify({ service: `shop.${name}`, endpoints }))
    }
    mesh = await Mesh.open([{ name: 'files', type: 'file', directory: folder }])
    const own = mesh.address()
    const { rpcProtocols } = parse(readFileSync('examples/rpc/mainstay.yaml', 'utf8')) as { rpcProtocols: unknown[] }
    const rpc = [{ protocol: 'mainstay', address: `${own}:12300` }]
    host = mesh.host('alpha', {
      extra: {
        host: { name: 'alpha', address: own },
        rpcProtocols,
        outbound: { http: `${own}:15001`, address: own, rpc },
      },
    })
    mkdirSync(join(host.options.directory, 'rules.d'), { recursive: true })
    writeFileSync(join(host.options.directory, 'rules.d', 'orders.yaml'), `${rules}---${policies}`)
    stock = await startApplication(codec, () => mainstayFrame({ type: 3, content: Buffer.from('Stock') }))
    applications.push(stock)
    mkdirSync(join(host.options.directory, 'services.d'), { recursive: true })
    const local = {
      service: 'stock',
      address: '127.0.0.1',
      port: stock.port,
      protocol: 'mainstay',
      check: { off: true },
    }
    writeFileSync(join(host.options.directory, 'services.d', 'stock.yaml'), JSON.stringify(local))
    host.start()
    await host.ready()
  })

  after(async () => {
    await mesh?.close()
    for (const application of applications) await application.close()
    rmSync(folder, { recursive: true, force: true })
  })

  function address(): string {
    return (host.options.extra as { host: { address: string } }).host.address
  }

  it('serves a caller on the shared port, by the rules', async () => {
    const caller = await RpcCaller.connect(codec, 12_300, address())
    const ask = async (attributes: readonly (readonly [string, string])[]): Promise<string> => {
      const { bytes, frame } = await caller.call(mainstayRequest('shop.Orders', 'place', { attributes }))
      return bytes.toString('utf8', frame.tableTo)
    }
    expect(await ask([])).to.equal('Orders')
    expect(await ask([['lane', 'blue']])).to.equal('Blue')
    caller.close()
  })

  it('has policies judge each request at an inbound port, and the caller gets an error of its protocol', async () => {
    const caller = await RpcCaller.connect(codec, await inboundPort(host, 'stock'), host.options.address)
    const ask = async (method: string): Promise<string> => {
      const { bytes } = await caller.call(mainstayRequest('stock', method))
      return bytes.toString('latin1')
    }
    expect(await ask('take')).to.include('Stock')
    const denied = await ask('wipe')
    expect(denied).to.include('RBAC: access denied')
    expect(stock.requests.length).to.equal(1)
    expect(await ask('take')).to.include('Stock')
    caller.close()
  })

  it('has policies judge each request of a local caller', async () => {
    const caller = await RpcCaller.connect(codec, 12_300, address())
    const before = applications[0]!.requests.length
    const { bytes } = await caller.call(mainstayRequest('shop.Orders', 'close'))
    expect(bytes.toString('latin1')).to.include('RBAC: access denied')
    expect(applications[0]!.requests.length).to.equal(before)
    caller.close()
  })

  it('says which rule takes a request', async () => {
    const words = ['explain', 'rpc', 'shop.Orders', 'place', '-a', 'lane=blue', '-c', host.configPath]
    const child = spawn(process.execPath, ['cli/main.ts', ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
    const said = await text(child.stdout)
    expect(said).to.match(/match +blue|match.*blue/)
    expect(said).to.include('shop.Blue')
    expect(said).to.include(`127.0.0.1:${applications[1]!.port}`)
  })
})
