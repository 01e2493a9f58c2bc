import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { Mesh, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { resource } from '../../support/routing.ts'
import { UdpSocket } from '../../support/udp/udp-socket.ts'

const waitMs = 20_000

describe('UDP between the applications of two hosts', function () {
  this.timeout(120_000)
  const sockets: UdpSocket[] = []
  let mesh: Mesh
  let alpha: DemoHost
  let beta: DemoHost
  let servers: Readonly<Record<'clock' | 'closed' | 'blue' | 'green', UdpSocket>>
  let log: string

  const opened = async (socket: Promise<UdpSocket>): Promise<UdpSocket> => {
    sockets.push(await socket)
    return sockets.at(-1)!
  }
  const caller = (): Promise<UdpSocket> => opened(UdpSocket.open(0, alpha.options.address))
  /** As often as it takes: the mesh may not know the service yet. */
  const answered = async (one: UdpSocket, service: string, text: string): Promise<string> => {
    const port = await alpha.port(service)
    const before = one.got.length
    await until(waitMs, `${service} answers`, async () => {
      one.send(port, text, alpha.options.address)
      return one.got.length > before
    })
    return one.got.at(-1)!.text
  }
  const metric = async (host: DemoHost, name: string, ...labels: string[]): Promise<number> => {
    const { text } = await host.admin.get('/stats/prometheus')
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  before(async () => {
    mesh = await Mesh.openOnFiles()
    const address = mesh.address()
    const made = await Promise.all(
      ['clock', 'closed', 'blue', 'green'].map((name) => opened(UdpSocket.echo(name, 0, address))),
    )
    const [clock, closed, blue, green] = made as [UdpSocket, UdpSocket, UdpSocket, UdpSocket]
    servers = { clock, closed, blue, green }
    const application = (service: 'clock' | 'closed') => ({
      service,
      version: 'v1',
      protocol: 'udp' as const,
      address,
      port: servers[service].port,
      close: async () => {},
    })
    beta = mesh.host('beta', { applications: [application('clock'), application('closed')] })
    log = join(mesh.directory, 'access.log')
    alpha = mesh.host('alpha', {
      outbound: ['clock', 'closed', 'split'].map((service) => ({ service, protocol: 'udp' as const })),
      extra: { limits: { udpIdleTimeout: '1s' }, accessLog: { format: 'text', path: log } },
    })
    for (const host of [alpha, beta]) host.writeFiles()
    const split = [
      resource(
        'VirtualService',
        'hosts: [split]\ntcp:\n- route:\n  - { destination: { host: split, subset: blue }, weight: 75 }\n  - { destination: { host: split, subset: green }, weight: 25 }',
        'split',
      ),
      resource(
        'DestinationRule',
        'host: split\nsubsets: [{ name: blue, labels: { colour: blue } }, { name: green, labels: { colour: green } }]',
        'split',
      ),
    ]
    writeFileSync(join(alpha.options.directory, 'rules.d', 'split.yaml'), split.join('---\n'))
    writeFileSync(
      join(beta.options.directory, 'rules.d', 'closed.yaml'),
      resource(
        'AuthorizationPolicy',
        'selector: { matchLabels: { app: closed } }\naction: DENY\nrules: [{ from: [{ source: { ipBlocks: [127.0.0.0/8] } }] }]',
        'closed',
      ),
    )
    for (const host of [alpha, beta]) host.start()
    await Promise.all([alpha.ready(), beta.ready()])
    for (const service of ['clock', 'closed']) {
      const { ports } = (await beta.json('/ports?format=json')) as {
        ports: { service: string; direction: string; port: number }[]
      }
      const port = ports.find((row) => row.direction === 'inbound' && row.service.endsWith(`@@${service}`))!.port
      mesh.tell(service, [{ address, port, metadata: { 'hostmesh.inbound': 'true' } }])
    }
    mesh.tell('split', [
      { address, port: blue.port, metadata: { colour: 'blue' } },
      { address, port: green.port, metadata: { colour: 'green' } },
    ])
  })
  after(async () => {
    for (const socket of sockets.splice(0)) socket.close()
    await mesh?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  it('passes both agents, in sessions that both show', async () => {
    const one = await caller()
    expect(await answered(one, 'clock', 'tick')).to.equal('clock|tick')
    expect(await metric(alpha, 'hostmesh_udp_datagrams_total', 'received')).to.be.above(0)
    expect(await metric(beta, 'hostmesh_udp_datagrams_total', 'sent')).to.be.above(0)
    const shown = JSON.stringify(await beta.json('/connections?format=json'))
    expect(shown).to.include('"protocol":"udp"')
  })

  it('ends sessions after the idle time, each with a line in the access log', async () => {
    await until(waitMs, 'no session is left', async () => (await metric(alpha, 'hostmesh_udp_sessions')) === 0)
    await until(waitMs, 'the line', async () => /UDP/.test(readFileSync(log, 'utf8')))
    expect(readFileSync(log, 'utf8')).to.match(/"- - UDP" .*127\./)
  })

  it('is split by the weights of a rule, session by session', async () => {
    await answered(await caller(), 'split', 'x')
    const counts: Record<string, number> = {}
    for (let index = 0; index < 100; index++) {
      const [name = ''] = (await answered(await caller(), 'split', 'x')).split('|')
      counts[name] = (counts[name] ?? 0) + 1
    }
    // more than four standard deviations of 100 draws at 25 %
    expect(counts['green']).to.be.within(5, 45)
    expect(counts['blue']).to.equal(100 - counts['green']!)
  })

  it('does not reach an application whose policy denies the address of the caller', async () => {
    const one = await caller()
    const port = await alpha.port('closed')
    await until(waitMs, 'it is denied', async () => {
      one.send(port, 'x', alpha.options.address)
      return (await metric(beta, 'hostmesh_udp_dropped_total', 'denied')) > 0
    })
    expect(servers.closed.got).to.deep.equal([])
    expect(one.got).to.deep.equal([])
  })
})
