/** A real Envoy runs traffic by the rules of a center, written with kubectl, by the bootstrap of docs/xds.md. */
import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer, request, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse, stringify } from 'yaml'
import { docsBlock } from '../../support/docs/docs-block.ts'
import { needsEnvoy, startEnvoy, type RealEnvoy } from '../../support/envoy/real-envoy.ts'
import { freePort } from '../../support/free-port.ts'
import { counted, inboundPort } from '../../support/mesh/host-facts.ts'
import { call, type DemoHost, Mesh, until } from '../../support/mesh/mesh.ts'
import { Authority } from '../../support/tls/authority.ts'
import { IdentityFiles } from '../../support/tls/identity-files.ts'

const run = promisify(execFile)
const token = 't'.repeat(40)
const idOf = (path: string): string => `spiffe://mesh.test/${path}`

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

for (const form of ['GRPC', 'DELTA_GRPC'])
  describe(`an Envoy (${form}) and a center`, function () {
    this.timeout(120_000)
    let mesh: Mesh
    let center: DemoHost
    /** Its application `ledger` takes mutual TLS alone. */
    let agent: DemoHost
    let envoy: RealEnvoy
    let api: string
    let listen: number
    const inbound = { address: '', port: 0 }
    /** Of the first certificate that the Envoy had. */
    let firstSerial: string | undefined
    const servers: Server[] = []
    /** Requests that came to an instance, by method. */
    const seen: string[] = []
    /** What the proxy in front of an instance says of who calls. */
    const callers = new Set<string>()
    /** Status with which the instances of a version answer. */
    const answers = new Map<string, number>()

    async function instance(version: string): Promise<{ address: string; port: number; version: string }> {
      const server = createServer((incoming, reply) => {
        seen.push(`${incoming.method} ${version}`)
        callers.add(String(incoming.headers['x-forwarded-client-cert']))
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
    /** The same by the API itself, which costs no process. */
    async function change(http: string): Promise<void> {
      const path = '/apis/networking.istio.io/v1/namespaces/shop/virtualservices/orders?fieldManager=test&force=true'
      const answer = await fetch(`${api}${path}`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/apply-patch+yaml' },
        body: routed(http),
      })
      if (answer.status !== 200) throw new Error(await answer.text())
    }
    function ask(headers: Readonly<Record<string, string>> = {}, method = 'GET', host = 'orders'): Promise<Answer> {
      return new Promise((resolve, reject) => {
        request(
          { host: '127.0.0.1', port: listen, method, headers: { host, ...headers } },
          (reply: IncomingMessage) => {
            reply.resume()
            resolve({ status: reply.statusCode!, version: String(reply.headers['version']) })
          },
        )
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
      const files = new IdentityFiles(mesh.directory, 'agent', authority)
      agent = mesh.host('agent', {
        applications: [await mesh.httpApplication('ledger', 'v1')],
        outbound: [{ service: 'guarded', protocol: 'http' }],
        extra: { tls: files.write(authority.leaf(idOf('ns/shop/sa/ledger'))).section },
      })
      const signer = {
        certificate: file('signer.crt', authority.certificate),
        key: file('signer.key', authority.keyPem),
        roots: ca,
      }
      const login = { user: 'gateway', token, role: 'read', identity: 'ns/shop/sa/gateway' }
      center = mesh.host('center', {
        role: 'center',
        extra: {
          rulesApi: { address: api.slice('http://'.length), withoutToken: 'admin' },
          xds: {
            address: `${at}:${xds}`,
            tls: { cert: file('xds.crt', certificate), key: file('xds.key', key) },
            tokensFile: file('tokens', stringify([login])),
          },
          ca: {
            address: `${at}:${await freePort()}`,
            trustDomain: 'mesh.test',
            leafLifetime: '24s',
            intermediate: signer,
          },
        },
      })
      for (const host of [center, agent]) host.start()
      await Promise.all([center.ready(), agent.ready()])
      const metadata = { 'hostmesh.inbound': 'true', 'hostmesh.mtls': 'strict' }
      mesh.tell('ledger', [{ address: agent.options.address, port: await inboundPort(agent, 'ledger'), metadata }])
      await apply(subsets)
      await apply(routed(to('v1')))
      const application = await instance('guarded')
      Object.assign(inbound, { address: mesh.address(), port: await freePort() })
      mesh.tell('guarded', [{ ...inbound, metadata: { 'security.istio.io/tlsMode': 'istio' } }])
      const guarded = docsBlock('xds.md', '# inbound.yaml')
        .replace('10.0.0.20, port_value: 21443', `${inbound.address}, port_value: ${inbound.port}`)
        .replace('127.0.0.1, port_value: 8080', `${application.address}, port_value: ${application.port}`)
        .replace('spiffe://mesh.example/', 'spiffe://mesh.test/')
      const outbound = docsBlock('xds.md', '# envoy.yaml')
        .replace('services: [orders, cart]', 'services: [orders, ledger]')
        .replace('127.0.0.1:15001', `127.0.0.1:${listen}`)
        .replace('port_value: 9901', `port_value: ${admin}`)
        .replace('TOKEN', token)
        .replace('api_type: GRPC', `api_type: ${form}`)
        .replace('/etc/hostmesh/ca.crt', ca)
        .replaceAll(/address: 10\.0\.0\.\d, port_value: 15010/g, `address: ${at}, port_value: ${xds}`)
      interface Bootstrap {
        static_resources: { listeners?: object[]; clusters: object[] }
      }
      const bootstrap = parse(outbound) as Bootstrap
      const { listeners, clusters } = parse(guarded) as Required<Bootstrap['static_resources']>
      bootstrap.static_resources.listeners = listeners
      bootstrap.static_resources.clusters.push(...clusters)
      envoy = startEnvoy(stringify(bootstrap), admin)
    })
    after(async () => {
      await envoy?.stop()
      for (const server of servers) server.close()
      await mesh?.close()
    })

    const serial = async (): Promise<string | undefined> => {
      const text = await envoy.admin('/certs')
      return /"serial_number": "(\w+)"[^}]*"uri": "[^"]*gateway"/.exec(text.replaceAll(/\s+/g, ' '))?.[1]
    }

    it('are told the listener, routes, clusters and endpoints of its services', async () => {
      await leadsTo('v1')
      expect((await ask({}, 'GET', 'orders.public.svc.cluster.local:80')).status).to.equal(200)
      expect((await ask({}, 'GET', 'stock')).status, 'a service that it did not name').to.equal(404)
      expect(await envoy.admin('/clusters')).to.contain('outbound||v1|public/DEFAULT_GROUP@@orders')
      firstSerial = await serial()
    })

    it('give it a certificate of its own, with which it calls a port that takes mutual TLS alone', async () => {
      const rule =
        'kind: PeerAuthentication\nmetadata: { name: all, namespace: shop }\nspec: { mtls: { mode: STRICT } }'
      const file = join(agent.options.directory, 'rules.d', 'strict.yaml')
      writeFileSync(file, `apiVersion: security.istio.io/v1\n${rule}\n`)
      const port = await inboundPort(agent, 'ledger')
      await until(30_000, 'plain is refused', async () => (await call(agent.options.address, port)).status === 400)
      await until(30_000, 'ledger by way of Envoy', async () => (await ask({}, 'GET', 'ledger')).status === 200)
      const caller = `caller="${idOf('ns/shop/sa/gateway')}"`
      await until(30_000, 'who called', async () => {
        return (await counted(agent, 'hostmesh_inbound_connections_total', 'security="mutual_tls"', caller)) > 0
      })
    })

    it('let it be called in mutual TLS by an agent, whose name it sees', async () => {
      await until(30_000, 'guarded by way of the agent', async () => {
        return (await call(agent.options.address, await agent.port('guarded'))).status === 200
      })
      expect([...callers].join('\n')).to.contain(`URI=${idOf('ns/shop/sa/ledger')}`)
      const plain = await call(inbound.address, inbound.port).catch(() => undefined)
      expect(plain?.status, 'without a certificate').to.not.equal(200)
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
      await change(`    - route: [{ destination: { host: orders } }]
      retries: { attempts: 3, retryOn: 5xx }`)
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
      await change(to('v2'))
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

    it('lose no request when routes go to clusters that were not there before, and back', async () => {
      mesh.tell('orders', [await instance('v1'), await instance('v2')])
      // v2 was there before: that the center knows both is seen by v1 alone
      await change(to('v1'))
      await leadsTo('v1')
      await change(to('v2'))
      await leadsTo('v2')
      const statuses = new Map<number, number>()
      let isOver = false
      const callers = Array.from({ length: 4 }, async () => {
        while (!isOver) {
          const { status } = await ask()
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        }
      })
      for (let round = 0; round < 4; round++) {
        await change(to('v1'))
        await leadsTo('v1')
        await change(to('v2'))
        await leadsTo('v2')
      }
      isOver = true
      await Promise.all(callers)
      expect([...statuses.keys()], JSON.stringify([...statuses])).to.deep.equal([200])
      await until(30_000, 'the former cluster is gone', async () => !(await envoy.admin('/clusters')).includes('||v1|'))
    })

    it('renew its certificate, and show its key to nobody', async () => {
      expect(firstSerial).to.be.a('string')
      await until(60_000, 'another certificate', async () => ![undefined, firstSerial].includes(await serial()))
      await until(30_000, 'ledger', async () => (await ask({}, 'GET', 'ledger')).status === 200)
      const { text } = await center.admin.get('/config_dump')
      const shown = [mesh.report(), await envoy.admin('/config_dump'), text]
      expect(shown.join('\n')).to.not.contain('PRIVATE KEY')
    })

    it('go on while the center is dead, and hear afterwards what came meanwhile', async () => {
      await center.signal('generation', 'SIGKILL')
      expect(await ask()).to.deep.equal({ status: 200, version: 'v2' })
      await until(30_000, 'the API', () =>
        change(to('v1')).then(
          () => true,
          () => false,
        ),
      )
      await leadsTo('v1')
      expect(await envoy.admin('/stats?filter=update_rejected')).to.not.match(/: [1-9]/)
    })
  })
