/**
 * Several hosts, each with a systemd of its own, from nothing to an upgrade by ansible over ssh, with a center and a
 * real Nacos, under calls from host to host: `npm run ansible`.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type BootedHost, BootedHosts, whatIsMissingForHosts } from '../support/ansible/booted-hosts.ts'
import { nacosArchive } from '../support/ansible/nacos-archive.ts'
import { type Played, Playbooks, ansibleProgram } from '../support/ansible/played.ts'
import { HostTraffic } from '../support/ansible/traffic.ts'
import { whatIsMissing } from '../support/continuity/booted-machine.ts'
import { buildPackages } from '../support/continuity/built-packages.ts'
import { missingForNacos } from '../support/nacos/artifacts.ts'
import { until } from '../support/mesh/mesh.ts'

const patienceMs = 900_000
const agentNames = ['web-1', 'web-2', 'web-3'] as const
const applicationPort = 18_080
const outboundPort = 20_007
const secret = 'of-this-test-alone-0123456789-0123456789'

describe('the ansible collection on several hosts', function () {
  this.timeout(patienceMs)
  this.bail(true)
  let folder: string
  let hosts: BootedHosts
  let books: Playbooks
  let hub: BootedHost
  let agents: BootedHost[]
  let archive: string
  const traffic: HostTraffic[] = []

  before(async function () {
    const program = ansibleProgram()
    const missing =
      program === undefined
        ? 'needs ansible-playbook, not below /tmp: pip install ansible-core'
        : (whatIsMissing() ?? whatIsMissingForHosts() ?? (await missingForNacos()))
    if (program === undefined || missing !== undefined) {
      this.test!.title += ` (${missing})`
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hm-hosts-'))
    buildPackages(folder, folder)
    archive = await nacosArchive(folder)
    hosts = new BootedHosts(folder)
    books = new Playbooks(folder, program, hosts)
    const booted = await Promise.all(['hub', ...agentNames].map((name) => hosts.boot(name)))
    hub = booted[0]!
    agents = booted.slice(1)
    for (const host of agents) traffic.push(await HostTraffic.start(host, applicationPort, outboundPort))
  })

  after(async () => {
    for (const one of traffic) one.close()
    await hosts?.close()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  const registries = () => [{ name: 'main', type: 'nacos', servers: [`${hub.address}:8848`] }]
  const agentConfig = (address: string, more: object = {}) => ({
    host: { address },
    registries: registries(),
    center: { addresses: [`${hub.address}:15443`], secretFile: '/etc/hostmesh/relay.secret' },
    outbound: { services: [{ service: 'orders', protocol: 'http', port: outboundPort }] },
    workers: 2,
    ...more,
  })

  interface Wanted {
    readonly release?: string
    /** Where they have no effect. */
    readonly batches?: readonly number[]
    /** Added to the configuration of a host. */
    readonly more?: Readonly<Record<string, object>>
  }

  function inventory({ batches: said, more = {}, release = 'first' }: Wanted = {}): object {
    const rows = agents.map(({ address, name }) => [
      name,
      { ansible_host: address, agent_config: agentConfig(address, more[name]) },
    ])
    return {
      all: {
        vars: {
          ansible_user: 'root',
          ansible_python_interpreter: '/usr/bin/python3',
          ansible_ssh_common_args: hosts.sshWords.join(' '),
        },
      },
      hostmesh_demo_nacos: {
        hosts: { hub: { ansible_host: hub.address } },
        vars: { demo_nacos_archive: archive, demo_nacos_memory: '256m' },
      },
      hostmesh_centers: {
        hosts: { hub: { ansible_host: hub.address } },
        vars: {
          center_package: join(folder, `${release}.deb`),
          center_config: {
            role: 'center',
            host: { address: hub.address },
            registries: registries(),
            relay: {
              address: '0.0.0.0:15443',
              allowedNetworks: ['10.77.0.0/24', '127.0.0.1/32'],
              secretFile: '/etc/hostmesh/relay.secret',
            },
          },
          center_secrets: { 'relay.secret': secret },
        },
      },
      hostmesh_agents: {
        hosts: Object.fromEntries(rows),
        vars: {
          agent_package: join(folder, `${release}.deb`),
          agent_secrets: { 'relay.secret': secret },
          agent_services: { orders: { service: 'orders', port: applicationPort, protocol: 'http' } },
          ...(said && { hostmesh_batches: said }),
        },
      },
    }
  }

  const changes = ({ recap }: Played): Record<string, number> =>
    Object.fromEntries([...recap].map(([host, counts]) => [host, counts['changed']!]))
  const batches = (...sizes: number[]): string[] => ['-e', JSON.stringify({ hostmesh_batches: sizes })]
  const everyone = (count: number): Record<string, number> =>
    Object.fromEntries(['hub', ...agentNames].map((name) => [name, count]))
  const versions = (): string[] =>
    agents.map((host) => hosts.enter(host, "dpkg-query -Wf '${Version} ${db:Status-Status}' hostmesh").out)
  const configOf = (name: string): string =>
    hosts.enter(agents[agentNames.indexOf(name as (typeof agentNames)[number])]!, 'cat /etc/hostmesh/agent.yaml').out

  /** Nothing that any caller on any host sent meanwhile is lost. */
  async function underLoad(work: () => Promise<void>): Promise<void> {
    await Promise.all(traffic.map((one) => one.load()))
    await work()
    const outcomes = await Promise.all(traffic.map((one) => one.stop()))
    expect(outcomes.flatMap(({ failures }) => failures)).to.deep.equal([])
    const answered = outcomes.reduce((sum, one) => sum + one.answered, 0)
    expect(answered).to.be.greaterThan(100)
    console.log(`      ${answered} calls, none lost`)
  }

  it('check mode on hosts with nothing changes nothing', async () => {
    const played = await books.play('deploy', inventory(), '--check', '--diff')
    expect(played.status, played.out).to.equal(0)
    expect(played.out).not.to.include(secret)
    for (const host of [hub, ...agents])
      for (const path of ['/usr/lib/hostmesh', '/etc/hostmesh', '/var/cache/hostmesh', '/opt/demo-nacos'])
        expect(existsSync(join(host.root, path)), `${host.name}: ${path}`).to.equal(false)
  })

  it('hosts with nothing get a registry, a center and agents that call each other', async () => {
    const played = await books.play('deploy', inventory())
    expect(played.status, played.out).to.equal(0)
    console.log(`      ${played.seconds} s for a Nacos, a center and three agents`)
    await until(60_000, 'each host calls orders', async () => {
      const called = agents.map((host) => hosts.enter(host, `curl -sf http://127.0.0.1:${outboundPort}/`))
      return called.every(({ out, status }) => status === 0 && out === 'provider')
    })
  })

  it('a second run changes nothing', async () => {
    const played = await books.play('deploy', inventory())
    expect(played.status, played.out).to.equal(0)
    expect(changes(played), played.out).to.deep.equal(everyone(0))
  })

  it('check mode shows what would change, and changes nothing', async () => {
    const before = configOf('web-2')
    const wanted = inventory({ more: { 'web-2': { logging: { level: 'debug' } } } })
    const played = await books.play('deploy', wanted, '--check', '--diff')
    expect(played.status, played.out).to.equal(0)
    expect(played.out).to.match(/^\+\s+level: debug/m)
    expect(played.out).not.to.include(secret)
    expect(changes(played), played.out).to.deep.equal({ ...everyone(0), 'web-2': 1 })
    expect(configOf('web-2')).to.equal(before)
  })

  it('an upgrade in batches loses nothing', () =>
    underLoad(async () => {
      const played = await books.play('deploy', inventory({ release: 'second' }), ...batches(1, 2))
      expect(played.status, played.out).to.equal(0)
      console.log(`      ${played.seconds} s for the upgrade`)
      expect(versions()).to.deep.equal(Array(3).fill('0.1.1 installed'))
    }))

  it('batches that the inventory says are refused, for they would have no effect', async () => {
    const wanted = inventory({ release: 'second', batches: [3] })
    const played = await books.play('deploy', wanted, '--limit', 'hostmesh_agents')
    expect(played.status, played.out).not.to.equal(0)
    expect(played.out).to.include('hostmesh_batches has no effect in an inventory')
    expect([...played.recap].map(([host, counts]) => [host, counts['changed']])).to.deep.equal([['web-1', 0]])
  })

  it('a bad release ends at its canary, which goes back by itself, and nothing is lost', () =>
    underLoad(async () => {
      const before = versions()
      const words = ['--limit', 'hostmesh_agents', ...batches(1, 2)]
      const played = await books.play('deploy', inventory({ release: 'broken' }), ...words)
      expect(played.status, played.out).not.to.equal(0)
      expect(played.out).to.include('of this batch were not well: web-1')
      expect([...played.recap.keys()], played.out).to.deep.equal(['web-1'])
      expect(versions()).to.deep.equal(before)
    }))
})
