/** Policies before applications and before calls of local applications, through whole hosts. */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'
import { hostmesh } from '../../support/ca/joining.ts'
import { policy } from '../../support/authorization.ts'
import { inboundPort } from '../../support/mesh/host-facts.ts'
import { call, Mesh, until } from '../../support/mesh/mesh.ts'
import type { DemoApplication, DemoHost } from '../../support/mesh/mesh.ts'

const none = 'rbac_access_denied_matched_policy[none]'

interface Said {
  readonly status: number
  readonly error: string
  readonly body: string
}

describe('an application with policies before it', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let host: DemoHost
  let orders: DemoApplication
  let ledger: DemoApplication
  let log: string
  let friend: string
  let stranger: string
  let inbound: number
  let inboundTcp: number

  before(async () => {
    mesh = await Mesh.openOnFiles()
    friend = mesh.address()
    stranger = mesh.address()
    orders = await mesh.httpApplication('orders', 'v1')
    ledger = await mesh.lineApplication('ledger', 'v1', orders.address)
    log = join(mesh.directory, 'access.log')
    host = mesh.host('host', {
      applications: [orders, ledger],
      outbound: [
        { service: 'orders', protocol: 'http' },
        { service: 'stock', protocol: 'http' },
      ],
      extra: { accessLog: { format: 'json', path: log } },
    })
    Object.assign(host.options, { rules: [inboundRules(), outboundRules('cart')].join('---\n') })
    host.writeFiles()
    const caller = { service: 'cart', address: orders.address, port: 1, user: process.getuid!(), check: { off: true } }
    writeFileSync(join(host.options.directory, 'services.d', 'cart.yaml'), JSON.stringify(caller))
    host.start()
    await host.ready()
    inbound = await inboundPort(host, 'orders')
    inboundTcp = await inboundPort(host, 'ledger')
    for (const [service, port] of [
      ['orders', inbound],
      ['stock', orders.port],
    ] as const) {
      const endpoints = [{ address: orders.address, port }]
      mesh.tell(service, endpoints)
    }
    await until(30_000, 'the policies are in force', async () => (await ask(stranger)).status === 403)
  })
  after(() => mesh?.close())
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  function inboundRules(): string {
    const from = `from: [{ source: { ipBlocks: [${friend}] } }]`
    return [
      policy(`selector: { matchLabels: { app: orders } }\nrules: [{ ${from} }]`, 'friends'),
      policy(
        'selector: { matchLabels: { app: orders } }\naction: DENY\nrules: [{ to: [{ operation: { paths: [/admin*] } }] }]',
        'no-admin',
      ),
      policy('action: AUDIT\nrules: [{ to: [{ operation: { methods: [PUT] } }] }]', 'writes', 'istio-system'),
      policy(`targetRefs: [{ kind: Service, name: ledger }]\nrules: [{ ${from} }]`, 'ledger-friends'),
    ].join('---\n')
  }

  function outboundRules(account: string): string {
    const rule = `{ from: [{ source: { principals: [cluster.local/ns/public/sa/${account}] } }] }`
    return policy(
      `targetRefs: [{ kind: Service, name: stock }]\nrules: [${rule}]`,
      'who-calls-stock',
      'public',
      'hostmesh.io/side: Outbound',
    )
  }

  function ask(from: string, path = '/', method = 'GET', headers: Record<string, string> = {}): Promise<Said> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { host: host.options.address, port: inbound, localAddress: from, path, method, headers, agent: false },
        (incoming) => {
          let body = ''
          incoming.setEncoding('utf8')
          incoming.on('data', (text: string) => (body += text))
          incoming.on('end', () =>
            resolve({ status: incoming.statusCode!, error: String(incoming.headers['x-mesh-error']), body }),
          )
        },
      )
      outgoing.on('error', reject)
      outgoing.end()
    })
  }

  /** The line that comes back, or how the connection ended. */
  async function askLedger(from: string): Promise<string> {
    const socket = connect({ host: host.options.address, port: inboundTcp, localAddress: from })
    socket.write('hello\n')
    const [said] = (await Promise.race([
      once(socket, 'data'),
      once(socket, 'error').then(() => ['ended']),
      once(socket, 'end').then(() => ['ended']),
    ]).catch(() => ['ended'])) as [unknown]
    socket.destroy()
    return String(said).trim()
  }

  async function lineWith(...texts: string[]): Promise<Record<string, unknown>> {
    let line = ''
    await until(20_000, `a line with ${texts.join()}`, () => {
      line =
        readFileSync(log, 'utf8')
          .split('\n')
          .findLast((one) => texts.every((text) => one.includes(text))) ?? ''
      return Promise.resolve(line !== '')
    })
    return JSON.parse(line) as Record<string, unknown>
  }

  it('is called by whom a policy allows, and by nobody else, in the words of Envoy', async () => {
    expect((await ask(friend)).status).to.equal(200)
    expect(await ask(stranger, '/from-a-stranger')).to.deep.equal({
      status: 403,
      error: 'E_AUTHORIZATION_DENIED',
      body: 'RBAC: access denied',
    })
    expect(await lineWith('/from-a-stranger')).to.include({
      response_code: 403,
      response_code_details: none,
    })
  })

  it('is not reached by another spelling, by what callers say of themselves, or by another way in', async () => {
    const spellings = ['/admin', '//admin', '/x/../admin', '/%61dmin', '/x%2f..%2fadmin', '/ADMIN', '/x/..;/admin']
    for (const path of [...spellings, `http://orders/admin`])
      expect((await ask(friend, path)).status, path).to.equal(403)
    expect((await ask(friend, '/Admin', 'gEt')).status).to.equal(403)
    const claims = { 'x-forwarded-for': friend, 'x-mesh-source': 'cart', forwarded: `for=${friend}` }
    expect((await ask(stranger, '/', 'GET', claims)).status).to.equal(403)
    const upgrade = { connection: 'upgrade', upgrade: 'websocket' }
    expect((await ask(stranger, '/', 'GET', upgrade)).status).to.equal(403)
    expect((await lineWith('/x/..;/admin'))['response_code_details']).to.equal(
      'rbac_access_denied_matched_policy[ns[public]-policy[no-admin]-rule[0]]',
    )
    // a caller of this host, who would be led to the application itself were there no policy
    await until(
      30_000,
      'orders is known',
      async () => (await call(host.options.address, await host.port('orders'))).status !== 503,
    )
    const local = await call(host.options.address, await host.port('orders'), {}, '/from-this-host')
    expect(local.status).to.equal(403)
  })

  it('answers a refused call of gRPC with its status', async () => {
    const session = connectHttp2(`http://${host.options.address}:${inbound}`, { localAddress: stranger } as object)
    const stream = session.request({
      ':method': 'POST',
      ':path': '/shop.Orders/List',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    stream.end(Buffer.from([0, 0, 0, 0, 0]))
    const [head] = (await once(stream, 'response')) as [Record<string, string>]
    session.destroy()
    expect(head).to.include({ ':status': 200, 'grpc-status': '7', 'grpc-message': 'RBAC: access denied' })
  })

  it('is protected where it speaks raw TCP', async () => {
    expect(await askLedger(friend)).to.equal('v1 hello')
    expect(await askLedger(stranger)).to.equal('ended')
    expect(await lineWith('"protocol":"TCP"', 'E_AUTHORIZATION_DENIED')).to.include({ response_code_details: none })
  })

  it('is audited, counted and explained', async () => {
    expect((await ask(friend, '/audited', 'PUT')).status).to.equal(200)
    expect((await lineWith('/audited'))['authorization']).to.equal('audit[ns[istio-system]-policy[writes]-rule[0]]')
    const { text } = await host.admin.get('/stats/prometheus')
    expect(text).to.match(
      /hostmesh_authorization_total\{[^}]*policy="public\/no-admin"[^}]*decision="denied"[^}]*\} [1-9]/,
    )
    expect(text).to.match(/hostmesh_authorization_total\{[^}]*policy="istio-system\/writes"[^}]*decision="audited"/)
    const explained = (await host.json(
      `/explain?format=json&listener=${inbound}&path=/admin/x&address=${friend}&principal=${encodeURIComponent('spiffe://cluster.local/ns/public/sa/web')}`,
    )) as { filters: { filter: string; does: string }[] }
    expect(explained.filters).to.deep.equal([
      {
        filter: 'authorization',
        does: 'denies cluster.local/ns/public/sa/web: DENY policy ns[public]-policy[no-admin]-rule[0]',
      },
    ])
    const principal = 'spiffe://cluster.local/ns/public/sa/web'
    const words = ['/admin/x', '--listener', String(inbound), '--principal', principal, '--address', friend]
    const shown = await hostmesh('explain', ...words, '-c', host.configPath)
    expect(shown.code, shown.err).to.equal(0)
    expect(shown.out).to.include('DENY policy ns[public]-policy[no-admin]-rule[0]')
  })

  it('is called by the local applications that an outbound policy names', async () => {
    const stock = async (): Promise<number> => (await call(host.options.address, await host.port('stock'))).status
    await until(30_000, 'stock is called', async () => (await stock()) === 200)
    writeFileSync(
      join(host.options.directory, 'rules.d', 'demo.yaml'),
      [inboundRules(), outboundRules('web')].join('---\n'),
    )
    await until(30_000, 'cart may no longer', async () => (await stock()) === 403)
  })

  it('waits for a worker while none lives: the watchdog carries nothing that was not judged', async () => {
    const { relay } = await host.watchdogState()
    const carried = Object.keys(relay.listeners)
    expect(carried.filter((name) => name.includes('orders') && name.startsWith('inbound'))).to.deep.equal([])
    expect(carried, 'with outbound policies the shared port is held').to.not.include('outbound-http')
    await host.signal('generation', 'SIGKILL')
    expect(await ask(stranger, '/while-dead')).to.include({ status: 403, body: 'RBAC: access denied' })
    expect((await ask(friend, '/admin')).status).to.equal(403)
  })
})
