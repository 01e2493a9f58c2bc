import { expect } from 'chai'
import type { IdentityRow } from '../../../../contracts/identity-row.ts'
import type { RuleStatus } from '../../../../contracts/rule-status.ts'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentConfig } from '../../../../agent/control/config/types.ts'
import type { ChildState, RestartReport, WatchdogState } from '../../../../contracts/handoff.ts'
import { certificateFindings, controlFindings, ruleFindings } from '../../../../cli/doctor/agent.ts'
import { clockFindings } from '../../../../cli/doctor/clock.ts'
import type { Facts, Pages } from '../../../../cli/doctor/facts.ts'
import { exitCodeOfFindings, inOrder, type Finding } from '../../../../cli/doctor/finding.ts'
import { fileFindings } from '../../../../cli/doctor/machine.ts'
import { addressFindings, kernelPortFindings } from '../../../../cli/doctor/network.ts'
import { memoryFindings, relayFindings, releaseFindings, watchdogFindings } from '../../../../cli/doctor/processes.ts'

const child: ChildState = {
  role: 'worker',
  index: 0,
  pid: 7,
  isReady: true,
  isServing: true,
  restarts: 0,
  rssBytes: 100e6,
  lagMs: 0,
  connections: 0,
}

const whole: WatchdogState = {
  pid: 6,
  startedAt: 0,
  isAdopted: false,
  handover: 'on',
  generations: [{ generation: 1, phase: 'serving', release: 'hostmesh 1', startedAt: 0, waits: [], children: [child] }],
  heldShards: 1,
  relay: {
    tier: 'agent',
    isRelaying: false,
    since: 0,
    targetsAgeMs: 1000,
    targetsProblem: undefined,
    centers: [{ address: '10.0.0.8:15443', isUsable: true, failures: 0 }],
    connections: { center: 0, direct: 0, failed: 0, shed: 0, refused: 0, passedOver: 0 },
    active: 0,
    listeners: { orders: 'center' },
  },
  reports: [],
}

const config = {
  role: 'agent',
  host: { address: '10.0.0.5' },
  endpoints: { allowLoopbackEndpoints: false },
  center: { addresses: [{ host: '10.0.0.8', port: 15_443 }] },
  watchdog: { maxMemory: 1e9 },
  limits: { maxConnections: 100 },
  outbound: { portRange: { first: 20_000, last: 20_999 } },
  inbound: { portRange: { first: 21_000, last: 21_999 } },
  registries: [],
} as unknown as AgentConfig

const pages: Pages = {
  ready: { ready: true, pending: [], problems: [] },
  info: {
    version: '1',
    generation: 1,
    snapshotVersion: 3,
    workers: [{ index: 0, snapshotVersion: 3 }],
    registries: [],
  },
  rules: [],
  ports: [],
  registrations: [],
  identities: [],
}

function factsOf(change: Partial<Facts> = {}): Facts {
  return {
    file: '/etc/hostmesh/agent.yaml',
    problems: [],
    config,
    watchdog: { kind: 'answer', value: whole },
    admin: undefined,
    pages: { kind: 'answer', value: pages },
    command: (words) => `hostmesh ${words}`,
    ...change,
  }
}

const states = (findings: readonly Finding[]): string[] => findings.map(({ state }) => state)

describe('what hostmesh doctor makes of what it hears', () => {
  it('ends with the code of what is to be mended first; warnings and what is not there are allowed', () => {
    const at = (link: Finding['link'], state: Finding['state']): Finding =>
      state === 'good' || state === 'skipped'
        ? { link, state, says: '' }
        : { link, state, says: '', proof: '', next: '' }
    expect(exitCodeOfFindings([at('clock', 'warning'), at('center', 'skipped')])).to.equal(0)
    expect(exitCodeOfFindings([at('ports', 'bad')])).to.equal(1)
    expect(exitCodeOfFindings([at('watchdog', 'unknown')])).to.equal(1)
    expect(exitCodeOfFindings([at('ports', 'bad'), at('registry', 'bad')])).to.equal(4)
    expect(exitCodeOfFindings([at('registry', 'bad'), at('configuration', 'bad')])).to.equal(3)
  })

  it('tells findings in the order of the path', () => {
    const found = inOrder([
      { link: 'request', state: 'good', says: '' },
      { link: 'unit', state: 'good', says: '' },
      { link: 'registry', state: 'good', says: '' },
    ])
    expect(found.map(({ link }) => link)).to.deep.equal(['unit', 'registry', 'request'])
  })

  it('a watchdog that relays is bad, with the newest report as proof and rollback as a way out', () => {
    const report = { kind: 'upgrade', to: 2, outcome: 'failed', cause: 'control ended', evidence: ['line'] }
    const state = {
      ...whole,
      relay: { ...whole.relay, isRelaying: true, tier: 'center' as const },
      reports: [report as unknown as RestartReport],
    }
    const [first] = watchdogFindings(factsOf({ watchdog: { kind: 'answer', value: state } }))
    expect(first).to.include({ state: 'bad' })
    expect(first!.says).to.include('tier center')
    expect(first!.proof).to.include('control ended')
    expect(first!.next).to.include('rollback')
  })

  it('a watchdog that this user may not ask is unknown, one that is silent is bad', () => {
    const why = 'EACCES'
    const denied = watchdogFindings(factsOf({ watchdog: { kind: 'silence', why, isDenied: true } }))
    expect(denied[0]).to.include({ state: 'unknown', next: 'sudo hostmesh doctor' })
    const dead = watchdogFindings(factsOf({ watchdog: { kind: 'silence', why, isDenied: false } }))
    expect(dead[0]).to.include({ state: 'bad' })
    expect(dead[0]!.next).to.include('journalctl -u hostmesh')
  })

  it('sockets that cannot be handed over, restarts and a failed report do not pass unseen', () => {
    const state = {
      ...whole,
      handover: 'no node:ffi',
      generations: [{ ...whole.generations[0]!, children: [{ ...child, restarts: 2 }] }],
      reports: [{ kind: 'upgrade', to: 2, outcome: 'failed', evidence: [] } as unknown as RestartReport],
    }
    const found = watchdogFindings(factsOf({ watchdog: { kind: 'answer', value: state } }))
    expect(states(found)).to.deep.equal(['bad', 'warning', 'warning'])
  })

  it('another release than that of the command is a warning with both names', () => {
    const [found] = releaseFindings(whole, 'hostmesh 2', factsOf())
    expect(found).to.include({ state: 'warning' })
    expect(found!.says).to.equal('hostmesh 1 runs, this command belongs to hostmesh 2')
    expect(states(releaseFindings(whole, 'hostmesh 1', factsOf()))).to.deep.equal(['good'])
  })

  it('memory near the bound at which a process is replaced is a warning', () => {
    const state = { ...whole, generations: [{ ...whole.generations[0]!, children: [{ ...child, rssBytes: 0.9e9 }] }] }
    expect(states(memoryFindings(state, config, factsOf()))).to.deep.equal(['warning'])
    expect(states(memoryFindings(whole, config, factsOf()))).to.deep.equal(['good'])
  })

  it('relay targets without the center of the configuration are old; a port without a next tier is a warning', () => {
    expect(states(relayFindings(whole, config, factsOf()))).to.deep.equal(['good'])
    const old = { ...whole, relay: { ...whole.relay, centers: [], listeners: { orders: 'none' as const } } }
    const found = relayFindings(old, config, factsOf())
    expect(states(found)).to.deep.equal(['bad', 'warning'])
    expect(found[0]!.says).to.include('10.0.0.8:15443')
    const damaged = { ...whole, relay: { ...whole.relay, targetsProblem: 'checksum does not match' } }
    expect(relayFindings(damaged, config, factsOf())[0]!.says).to.include('checksum does not match')
  })

  it('control tells problems that no other link tells, and no worker stays behind unseen', () => {
    const ready = { ready: false, pending: ['main: first answer'], problems: ['E_RULE_REJECTED  x', 'disk: read-only'] }
    const info = { ...pages.info, workers: [{ index: 0, snapshotVersion: 2 }] }
    const found = controlFindings(factsOf({ pages: { kind: 'answer', value: { ...pages, ready, info } } }))
    expect(found.map(({ says }) => says)).to.deep.equal([
      'not ready: it waits for main: first answer',
      'disk: read-only',
      'worker 0 has snapshot v2, the newest is v3',
    ])
  })

  it('a rejected rule is told with its place; beyond twenty they are counted', () => {
    const rule: RuleStatus = {
      source: 'rules.d',
      state: 'rejected',
      inForce: false,
      kind: 'VirtualService',
      namespace: 'shop',
      name: 'orders',
      document: 'orders.yaml',
      line: 3,
      problems: [{ path: 'spec.hosts', line: 3, column: 1, message: 'missing' }],
    }
    const found = ruleFindings({ ...pages, rules: Array.from({ length: 25 }, () => rule) }, factsOf())
    expect(found).to.have.length(21)
    expect(found[0]).to.include({ state: 'bad', proof: 'orders.yaml:3' })
    expect(found[0]!.says).to.include('spec.hosts: missing')
    expect(found.at(-1)!.says).to.equal('and 5 more')
  })

  it('a certificate that is late is a warning; ended, or of the future, it is bad', () => {
    const of = (state: IdentityRow['state'], notBefore: number): string[] => {
      const identity: IdentityRow = { id: 'a', source: 'center', state, notBefore, chain: [] }
      return states(certificateFindings({ ...pages, identities: [identity] }, 1000, factsOf()))
    }
    expect(of('good', 0)).to.deep.equal(['good'])
    expect(of('late', 0)).to.deep.equal(['warning'])
    expect(of('ended', 0)).to.deep.equal(['bad'])
    expect(of('good', 2000)).to.deep.equal(['bad'])
    expect(states(certificateFindings(pages, 1000, factsOf()))).to.deep.equal(['skipped'])
  })

  it('an address that no interface has, or that every other host reads as itself, is bad', () => {
    const none = {}
    const own = { eth0: [{ address: '10.0.0.5' }] } as unknown as ReturnType<typeof networkInterfaces>
    expect(states(addressFindings(factsOf(), own))).to.deep.equal(['good'])
    expect(states(addressFindings(factsOf(), none))).to.deep.equal(['bad'])
    const loopback = { ...config, host: { ...config.host, address: '127.0.0.1' } }
    expect(states(addressFindings(factsOf({ config: loopback }), own))).to.deep.equal(['bad'])
  })

  describe('of the kernel', () => {
    let proc: string
    beforeEach(() => {
      proc = mkdtempSync(join(tmpdir(), 'hm-proc-'))
      for (const path of ['sys/net/ipv4', 'net', '7/fd']) mkdirSync(join(proc, path), { recursive: true })
    })
    afterEach(() => rmSync(proc, { recursive: true, force: true }))

    it('a port range inside the ports that the kernel gives away, and few of those left, are warnings', () => {
      writeFileSync(join(proc, 'sys/net/ipv4/ip_local_port_range'), '20500\t21499\n')
      writeFileSync(join(proc, 'net/sockstat'), 'TCP: inuse 700 orphan 0 tw 200 alloc 900 mem 1\n')
      const found = kernelPortFindings(config, proc)
      expect(states(found)).to.deep.equal(['warning', 'warning', 'warning'])
      expect(found[0]!.next).to.include('sysctl net.ipv4.ip_local_reserved_ports=20000-20999')
      expect(found[2]!.says).to.include('900 TCP sockets for 1000 ports')
      writeFileSync(join(proc, 'sys/net/ipv4/ip_local_port_range'), '32768\t60999\n')
      expect(states(kernelPortFindings(config, proc))).to.deep.equal(['good'])
      rmSync(join(proc, 'sys'), { recursive: true })
      expect(states(kernelPortFindings(config, proc))).to.deep.equal(['unknown'])
    })

    it('few descriptors for the connections that are allowed are a warning, used up they are bad', () => {
      const limit = (most: number): void =>
        writeFileSync(
          join(proc, '7/limits'),
          `Max open files            ${most}                 ${most}                files\n`,
        )
      limit(1000)
      expect(states(fileFindings(factsOf(), [child], proc))).to.deep.equal(['good'])
      limit(100)
      expect(states(fileFindings(factsOf(), [child], proc))).to.deep.equal(['warning'])
      limit(10)
      for (let index = 0; index < 10; index++) writeFileSync(join(proc, `7/fd/${index}`), '')
      const [found] = fileFindings(factsOf(), [child], proc)
      expect(found).to.include({ state: 'bad', says: 'worker 0 may have 10 descriptors and has 10' })
    })
  })

  describe('of the clock', () => {
    let server: Server
    let asked: AgentConfig
    const release = new URL('../../../../package.json', import.meta.url)
    before(async () => {
      server = createServer((_request, reply) => reply.end())
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      asked = {
        ...config,
        registries: [{ type: 'nacos', servers: [{ host: '127.0.0.1', port }] }],
      } as unknown as AgentConfig
    })
    after(() => server.close())

    it('a registry that says another time is a warning from 5 s on, and bad from where centers refuse proofs', async () => {
      const at = async (ms: number): Promise<string> =>
        (await clockFindings(asked, () => Date.now() + ms, release))[0]!.state
      expect(await at(0)).to.not.equal('bad')
      expect(await at(10_000)).to.equal('warning')
      expect(await at(24 * 365 * 86_400_000)).to.equal('bad')
    })

    it('a time before the release was made is bad, whoever says it', async () => {
      const [found] = await clockFindings(undefined, () => 0, release)
      expect(found).to.include({ state: 'bad' })
      expect(found!.says).to.include('1970-01-01')
    })
  })
})
