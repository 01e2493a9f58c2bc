/** A real Envoy runs traffic by the rules of a center, written with kubectl, by the bootstrap of docs/xds.md. */
import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer, request, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { docsBlock } from '../../support/docs/docs-block.ts'
import { needsEnvoy, startEnvoy, type RealEnvoy } from '../../support/envoy/real-envoy.ts'
import { freePort } from '../../support/free-port.ts'
import { Mesh, until } from '../../support/mesh/mesh.ts'
import { Authority } from '../../support/tls/authority.ts'

const run = promisify(execFile)
const token = 't'.repeat(40)

const subsets = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: orders, namespace: shop }
spec:
  host: orders
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }
`
const routed = (http: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders, namespace: shop }
spec:
  hosts: [orders]
  http:
${http}
`
const to = (subset: string): string => `    - route: [{ destination: { host: orders, subset: ${subset} } }]`

interface Answer {
  readonly status: number
  readonly version: string
}

describe('an Envoy and a center', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let envoy: RealEnvoy
  let api: string
  let listen: number
  const servers: Server[] = []
  /** Requests that came to an instance, by method. */
  const seen: string[] = []
  /** Status with which the instances of a version answer. */
  const answers = new Map<string, number>()

  async function instance(version: string): Promise<{ address: string; port: number; version: string }> {
    const server = createServer((incoming, reply) => {
      seen.push(`${incoming.method} ${version}`)
      reply.writeHead(answers.get(version) ?? 200, { version }).end()
    })
    servers.push(server)
    const address = mesh.address()
    await new Promise<void>((resolve) => server.listen(0, address, resolve))
    return { address, port: (server.address() as AddressInfo).port, version }
  }
  async function kubectl(...words: string[]): Promise<string> {
    const argv = ['--kubeconfig=/dev/null', `--cache-dir=${mesh.directory}/kubectl`, `--server=${api}`, ...words]
    const { stdout, stderr } = await run('kubectl', argv)
    return stdout + stderr
  }
  async function apply(yaml: string): Promise<void> {
    const file = join(mesh.directory, 'rule.yaml')
    writeFileSync(file, yaml)
    await kubectl('apply', '-f', file)
  }
  function ask(headers: Readonly<Record<string, string>> = {}, method = 'GET', host = 'orders'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port: listen, method, headers: { host, ...headers } }, (reply: IncomingMessage) => {
        reply.resume()
        resolve({ status: reply.statusCode!, version: String(reply.headers['version']) })
      })
        .on('error', reject)
        .end()
    })
  }
  const leadsTo = (version: string): Promise<number> =>
    until(30_000, `${version} by way of Envoy\n`, async () => {
      const answer = await ask().catch(() => undefined)
      return answer?.status === 200 && answer.version === version
    }).catch(async (error: Error) => {
      throw new Error(`${error.message}${envoy.lastLines()}\n${await envoy.admin('/config_dump').catch(String)}`)
    })

  before(async function () {
    needsEnvoy(this)
    await run('kubectl', ['version', '--client']).catch(() => {
      console.log('skipped: kubectl is not installed (Debian: kubernetes-client)')
      this.skip()
    })
    mesh = await Mesh.openOnFiles()
    const at = mesh.address()
    const [xds, admin] = [await freePort(), await freePort()]
    listen = await freePort()
    api = `http://127.0.0.1:${await freePort()}`
    const authority = new Authority()
    const { certificate, key } = authority.leaf(undefined, { dns: ['center.example.com'] })
    const file = (name: string, text: string): string => {
      writeFileSync(join(mesh.directory, name), text, { mode: 0o600 })
      return join(mesh.directory, name)
    }
    const ca = file('ca.crt', authority.certificate)
    mesh.tell('orders', [await instance('v1'), await instance('v2')])
    await mesh.startedHost('center', {
      role: 'center',
      extra: {
        rulesApi: { address: api.slice('http://'.length), withoutToken: 'admin' },
        xds: {
          address: `${at}:${xds}`,
          tls: { cert: file('xds.crt', certificate), key: file('xds.key', key) },
          tokensFile: file('tokens', stringify([{ user: 'gateway', token, role: 'read' }])),
        },
      },
    })
    await apply(subsets)
    await apply(routed(to('v1')))
    const bootstrap = docsBlock('xds.md', '# envoy.yaml')
      .replace('127.0.0.1:15001', `127.0.0.1:${listen}`)
      .replace('port_value: 9901', `port_value: ${admin}`)
      .replace('TOKEN', token)
      .replace('/etc/hostmesh/ca.crt', ca)
      .replaceAll(/address: 10\.0\.0\.\d, port_value: 15010/g, `address: ${at}, port_value: ${xds}`)
    envoy = startEnvoy(bootstrap, admin)
  })
  after(async () => {
    await envoy?.stop()
    for (const server of servers) server.close()
    await mesh?.close()
  })

  it('are told the listener, routes, clusters and endpoints of its services', async () => {
    await leadsTo('v1')
    expect((await ask({}, 'GET', 'orders.public.svc.cluster.local:80')).status).to.equal(200)
    expect((await ask({}, 'GET', 'ledger')).status, 'a service that it did not name').to.equal(404)
    expect(await envoy.admin('/clusters')).to.contain('outbound||v1|public/DEFAULT_GROUP@@orders')
  })

  it('divide requests by weight, and send those with a header elsewhere', async () => {
    await apply(
      routed(`    - match: [{ headers: { tester: { exact: 'yes' } } }]
      route: [{ destination: { host: orders, subset: v2 } }]
    - route:
        - { destination: { host: orders, subset: v1 }, weight: 75 }
        - { destination: { host: orders, subset: v2 }, weight: 25 }`),
    )
    await until(30_000, 'the header', async () => (await ask({ tester: 'yes' })).version === 'v2')
    const counts = { v1: 0, v2: 0 }
    for (let at = 0; at < 400; at++) counts[(await ask()).version as 'v1' | 'v2']++
    // 100 of 400, six deviations of 8.7 around it
    expect(counts.v2).to.be.within(48, 152)
  })

  it('repeat what may be repeated and nothing else', async () => {
    await apply(
      routed(`    - route: [{ destination: { host: orders } }]
      retries: { attempts: 3, retryOn: 5xx }`),
    )
    answers.set('v2', 503)
    await until(30_000, 'retries', async () => {
      for (let at = 0; at < 20; at++) if ((await ask()).status !== 200) return false
      return true
    })
    seen.length = 0
    const posts: number[] = []
    for (let at = 0; at < 40; at++) posts.push((await ask({}, 'POST')).status)
    expect(posts, 'the endpoint read them').to.include(503)
    expect(seen.length, 'each was carried out once').to.equal(40)
    answers.clear()
  })

  it('follow instances that come and go', async () => {
    await apply(routed(to('v2')))
    await leadsTo('v2')
    const fresh = await instance('v2')
    mesh.tell('orders', [fresh])
    await until(30_000, 'the new instance alone', async () => {
      const text = await envoy.admin('/clusters')
      const of = text.split('\n').filter((line) => line.includes('||v2|') && line.includes('::rq_total::'))
      return of.length === 1 && of[0]!.includes(`${fresh.address}:${fresh.port}`)
    })
    expect(await ask()).to.deep.equal({ status: 200, version: 'v2' })
  })
})
