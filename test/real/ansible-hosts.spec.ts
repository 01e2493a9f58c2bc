/**
 * Several hosts, each with a systemd of its own, from nothing to an upgrade by ansible over ssh, with a center and a
 * real Nacos, under calls from host to host: `npm run ansible`. A step by itself, which takes the hosts to where it
 * begins: `node scripts/node.js scripts/run-tests.ts --grep 'a dead host' test/real/ansible-hosts.spec.ts`.
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
    /** Of these hosts alone. */
    readonly releases?: Readonly<Record<string, string>>
    /** In the order of their batches; `away` is nobody's. */
    readonly order?: readonly string[]
    /** Of the group of agents. */
    readonly variables?: object
  }

  const packageOf = (release: string): string => join(folder, `${release}.deb`)

  function inventory(wanted: Wanted = {}): object {
    const { batches: said, more = {}, order = agentNames, release = 'first', releases = {}, variables } = wanted
    const rows = order.map((name) => {
      const address = agents.find((host) => host.name === name)?.address ?? '10.77.0.250'
      const own = releases[name]
      return [
        name,
        {
          ansible_host: address,
          agent_config: agentConfig(address, more[name]),
          ...(own !== undefined && { agent_package: packageOf(own) }),
        },
      ]
    })
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
          center_package: packageOf(release),
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
          agent_package: packageOf(release),
          agent_secrets: { 'relay.secret': secret },
          agent_services: { orders: { service: 'orders', port: applicationPort, protocol: 'http' } },
          ...(said && { hostmesh_batches: said }),
          ...variables,
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

  const installed = (...numbers: string[]): string[] => numbers.map((number) => `0.1.${number} installed`)
  const unreachable = ({ recap }: Played): string[] =>
    [...recap].filter(([, counts]) => counts['unreachable'] === 1).map(([host]) => host)

  async function allCall(): Promise<void> {
    await until(60_000, 'each host calls orders', async () => {
      const called = agents.map((host) => hosts.enter(host, `curl -sf http://127.0.0.1:${outboundPort}/`))
      return called.every(({ out, status }) => status === 0 && out === 'provider')
    })
  }

  /** The release that a step begins with on all hosts; nothing to do where the step before ended so. */
  async function deployed(release: string, version: string): Promise<void> {
    if (versions().every((one) => one === `${version} installed`)) return
    const played = await books.play('deploy', inventory({ release }), ...batches(3))
    expect(played.status, played.out).to.equal(0)
    await allCall()
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
    await allCall()
  })

  it('a second run changes nothing', async () => {
    await deployed('first', '0.1.0')
    const played = await books.play('deploy', inventory())
    expect(played.status, played.out).to.equal(0)
    expect(changes(played), played.out).to.deep.equal(everyone(0))
  })

  it('check mode shows what would change, and changes nothing', async () => {
    await deployed('first', '0.1.0')
    const before = configOf('web-2')
    const wanted = inventory({ more: { 'web-2': { logging: { level: 'debug' } } } })
    const played = await books.play('deploy', wanted, '--check', '--diff')
    expect(played.status, played.out).to.equal(0)
    expect(played.out).to.match(/^\+\s+level: debug/m)
    expect(played.out).not.to.include(secret)
    expect(changes(played), played.out).to.deep.equal({ ...everyone(0), 'web-2': 1 })
    expect(configOf('web-2')).to.equal(before)
  })

  it('an upgrade in batches loses nothing', async () => {
    await deployed('first', '0.1.0')
    await underLoad(async () => {
      const played = await books.play('deploy', inventory({ release: 'second' }), ...batches(1, 2))
      expect(played.status, played.out).to.equal(0)
      console.log(`      ${played.seconds} s for the upgrade`)
      expect(versions()).to.deep.equal(installed('1', '1', '1'))
    })
  })

  it('batches that the inventory says are refused, for they would have no effect', async () => {
    await deployed('second', '0.1.1')
    const wanted = inventory({ release: 'second', batches: [3] })
    const played = await books.play('deploy', wanted, '--limit', 'hostmesh_agents')
    expect(played.status, played.out).not.to.equal(0)
    expect(played.out).to.include('hostmesh_batches has no effect in an inventory')
    expect([...played.recap].map(([host, counts]) => [host, counts['changed']])).to.deep.equal([['web-1', 0]])
  })

  it('a bad release ends at its canary, which goes back by itself, and nothing is lost', async () => {
    await deployed('second', '0.1.1')
    await underLoad(async () => {
      const before = versions()
      const words = ['--limit', 'hostmesh_agents', ...batches(1, 2)]
      const played = await books.play('deploy', inventory({ release: 'broken' }), ...words)
      expect(played.status, played.out).not.to.equal(0)
      expect(played.out).to.include('of this batch were not well: web-1')
      expect([...played.recap.keys()], played.out).to.deep.equal(['web-1'])
      expect(versions()).to.deep.equal(before)
    })
  })

  it('a bad release in the second batch takes all of that batch back, the one before keeps the new one, and nothing is lost', async () => {
    await deployed('second', '0.1.1')
    await underLoad(async () => {
      const wanted = inventory({ release: 'third', releases: { 'web-3': 'broken' } })
      const played = await books.play('deploy', wanted, '--limit', 'hostmesh_agents', ...batches(1, 2))
      expect(played.status, played.out).not.to.equal(0)
      expect(played.out).to.include('of this batch were not well: web-3')
      expect(versions()).to.deep.equal(installed('3', '1', '1'))
    })
    await allCall()
  })

  it('a host of the second batch that is not whole behind its change goes back, later batches are never touched, and nothing is lost', async () => {
    await deployed('second', '0.1.1')
    const before = configOf('web-2')
    await underLoad(async () => {
      const dead = { name: 'dead', type: 'nacos', servers: [`${hub.address}:9`] }
      const more = { 'web-2': { registries: [...registries(), dead] } }
      const wanted = inventory({ release: 'third', more, variables: { agent_gate_retries: 1 } })
      const played = await books.play('deploy', wanted, '--limit', 'hostmesh_agents', ...batches(1, 1, 1))
      expect(played.status, played.out).not.to.equal(0)
      expect(played.out).to.include('of this batch were not well: web-2')
      expect([...played.recap.keys()], played.out).to.deep.equal(['web-1', 'web-2'])
      expect(versions()).to.deep.equal(installed('3', '1', '1'))
    })
    expect(configOf('web-2')).to.equal(before)
    await allCall()
  })

  it('a dead host in a batch is named, and the others are upgraded without a lost call', async () => {
    await deployed('second', '0.1.1')
    await underLoad(async () => {
      const wanted = inventory({ release: 'third', order: ['web-1', 'web-2', 'away', 'web-3'] })
      const played = await books.play('deploy', wanted, '--limit', 'hostmesh_agents', ...batches(1, 2, 1))
      expect(played.status, played.out).not.to.equal(0)
      expect(unreachable(played), played.out).to.deep.equal(['away'])
      expect(versions()).to.deep.equal(installed('3', '3', '3'))
    })
  })

  it('a dead host as the canary ends the run before any other is touched', async () => {
    await deployed('third', '0.1.3')
    const wanted = inventory({ release: 'second', order: ['away', ...agentNames] })
    const played = await books.play('deploy', wanted, '--limit', 'hostmesh_agents', ...batches(1, 3))
    expect(played.status, played.out).not.to.equal(0)
    expect([...played.recap.keys()], played.out).to.deep.equal(['away'])
    expect(versions()).to.deep.equal(installed('3', '3', '3'))
  })

  it('a change of configuration goes through all hosts in batches, and loses nothing', async () => {
    await deployed('third', '0.1.3')
    await underLoad(async () => {
      const more = Object.fromEntries(agentNames.map((name) => [name, { logging: { level: 'debug' } }]))
      const played = await books.play(
        'deploy',
        inventory({ release: 'third', more }),
        '--limit',
        'hostmesh_agents',
        ...batches(1, 2),
      )
      expect(played.status, played.out).to.equal(0)
      for (const name of agentNames) expect(configOf(name)).to.include('level: debug')
    })
  })

  it('uninstalling is refused while an application is registered, and the host serves on', async () => {
    await deployed('third', '0.1.3')
    const played = await books.play('uninstall', inventory({ release: 'third' }))
    expect(played.status, played.out).not.to.equal(0)
    expect(played.out).to.include('HOSTMESH_FORCE_REMOVE')
    expect([...played.recap.keys()], played.out).to.deep.equal(['web-1'])
    expect(versions()).to.deep.equal(installed('3', '3', '3'))
    await allCall()
  })

  it('uninstalling by force leaves nothing on any host, and a second time changes nothing', async () => {
    await deployed('third', '0.1.3')
    const wanted = inventory({ release: 'third', variables: { agent_force_removal: true } })
    const played = await books.play('uninstall', wanted)
    expect(played.status, played.out).to.equal(0)
    for (const host of [hub, ...agents]) {
      const { out } = hosts.enter(host, `${leftovers}; id hostmesh demo-nacos 2>/dev/null`)
      expect(out, host.name).to.equal('')
    }
    const again = await books.play('uninstall', wanted)
    expect(again.status, again.out).to.equal(0)
    expect(changes(again), again.out).to.deep.equal(everyone(0))
  })
})

/** Everything on a host that bears a name of ours. */
const leftovers = [
  "find /etc /usr /var/lib /var/cache /run -xdev \\( -iname '*hostmesh*' -o -iname '*demo-nacos*' \\) -not -path '/var/lib/dpkg/*'",
  'ls -d /opt/hostmesh /opt/demo-nacos 2>/dev/null',
].join('; ')
