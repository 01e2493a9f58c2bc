import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { isWhole } from '../../../cli/drill/wholeness.ts'
import { startHttpCaller } from '../../../cli/traffic/callers.ts'
import type { DrillReport } from '../../../cli/drill/report.ts'
import type { MeshEvent } from '../../../contracts/events.ts'
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { type DemoHost, Mesh, relayOf } from '../../support/mesh/mesh.ts'
import { goBeforeOthers } from '../../support/priority.ts'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

const drill = (...argv: string[]): Promise<Ran> => hostmesh('drill', ...argv)

function hostmesh(...argv: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['cli/main.ts', ...argv], (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, out, err })
    })
  })
}

describe('hostmesh drill', function () {
  this.timeout(180_000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let alpha: DemoHost
  let center: DemoHost

  let goAsOthers: () => void

  before(async () => {
    goAsOthers = goBeforeOthers()
    registry = await startEmbeddedRegistry()
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    // what hangs is noticed as soon as anywhere
    const extra = { watchdog: { startDeadline: '60s' } }
    center = mesh.host('center', { role: 'center', extra })
    alpha = mesh.host('alpha', { centers: [relayOf(center)], extra })
    for (const host of [center, alpha]) host.start()
    await Promise.all([center.ready(), alpha.ready()])
    const isServing = async (): Promise<boolean> => isWhole(await alpha.watchdogState())
    await alpha.until(20_000, () => 'the watchdog does not say that it serves', isServing)
  })

  after(async () => {
    await mesh?.close()
    await registry?.close()
    goAsOthers()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function reportOf(name: string, host: DemoHost = alpha, ...more: string[]): Promise<DrillReport> {
    const ran = await drill(name, '--yes', '--json', ...more, '-c', host.configPath)
    const report = JSON.parse(ran.out) as DrillReport
    expect(report.problems, ran.out).to.deep.equal([])
    expect(ran.code).to.equal(0)
    return report
  }

  it('only says what it would do in a dry run', async () => {
    const before = (await alpha.watchdogState()).generations[0]!.children.map((child) => child.pid)
    const ran = await drill('kill-agent', '--dry-run', '-c', alpha.configPath)
    expect(ran.code, ran.err).to.equal(0)
    expect(ran.out).to.include('SIGKILL to control and all workers of this host')
    expect(ran.out).to.include('blast radius')
    expect((await alpha.watchdogState()).generations[0]!.children.map((child) => child.pid)).to.deep.equal(before)
  })

  it('does nothing without a terminal to ask on and without --yes', async () => {
    const ran = await drill('kill-agent', '-c', alpha.configPath)
    expect(ran.code).to.equal(1)
    expect(ran.err).to.include('--yes')
  })

  it('refuses a drill for a center on an agent', async () => {
    const ran = await drill('kill-center', '--yes', '-c', alpha.configPath)
    expect(ran.code).to.equal(3)
    expect(ran.err).to.include('is for a center')
  })

  it('answers a name that is no drill with the names that are', async () => {
    const ran = await drill('kill-everything', '--yes', '-c', alpha.configPath)
    expect(ran.code).to.equal(2)
    expect(ran.err).to.include('kill-watchdog, kill-center')
  })

  it('says its plan as JSON, with who serves meanwhile', async () => {
    const ran = await drill('hang-agent', '--dry-run', '--json', '-c', alpha.configPath)
    const plan = JSON.parse(ran.out) as Record<string, string>
    expect(plan).to.include.keys('drill', 'does', 'blastRadius', 'promise', 'abort', 'reports')
    expect(plan).not.to.have.property('notNow')
    expect(plan['meanwhile']).to.include(relayOf(center))
    expect(ran.code).to.equal(0)
  })

  async function pids(host: DemoHost): Promise<number[]> {
    return (await host.watchdogState()).generations.flatMap(({ children }) => children.map((child) => child.pid))
  }

  it('kills a worker: nothing but calls in flight is lost, and the report waits for its successor', async () => {
    const before = (await alpha.watchdogState()).generations[0]!.children.find((child) => child.role === 'worker')!.pid
    const report = await reportOf('kill-worker')
    expect(report.probe.calls).to.be.greaterThan(0)
    expect(await pids(alpha)).not.to.include(before)
  })

  it('kills the agent: another tier serves, then the agent again; the report is kept as JSON, Markdown and a page', async () => {
    const report = await reportOf('kill-agent')
    const tiers = Object.keys(report.probe.tiers)
    expect(tiers).to.include('agent')
    expect(tiers.length, tiers.join()).to.be.greaterThan(1)
    const files = readdirSync(join(alpha.stateDir, 'drills')).filter((name) => name.includes('kill-agent'))
    expect(files.map((name) => name.split('.').at(-1))).to.have.members(['json', 'md', 'html'])
  })

  it('hangs the agent: it is noticed and replaced', async () => {
    const before = await pids(alpha)
    const report = await reportOf('hang-agent')
    // the drill itself judges the rest of what it promises
    expect(report.recoveryMs).to.be.greaterThan(1000)
    expect(await pids(alpha)).not.to.include.members(before)
  })

  it('kills the watchdog: the next one, which it starts itself without a service manager, adopts the running agent', async () => {
    const { pid } = await alpha.watchdogState()
    const before = await pids(alpha)
    const report = await reportOf('kill-watchdog')
    expect(report.probe.errors).to.equal(0)
    expect(report.probe.calls).to.be.greaterThan(0)
    const after = await alpha.watchdogState()
    expect(after.pid).not.to.equal(pid)
    expect(after.isAdopted).to.equal(true)
    expect(await pids(alpha)).to.deep.equal(before)
    expect(readFileSync(join(alpha.stateDir, 'drills', 'watchdog.log'), 'utf8')).to.include('is adopted')
  })

  it('stands in the timeline of the host with what it broke, also what happened while nobody led', async () => {
    const events = async (...words: string[]): Promise<MeshEvent[]> => {
      const ran = await hostmesh('events', '--json', ...words, '-c', alpha.configPath)
      expect(ran.code, ran.err).to.equal(0)
      return ran.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as MeshEvent)
    }
    const all = await events()
    const drills = all.filter(({ kind }) => kind === 'drill').map(({ about, what }) => `${about} ${what}`)
    expect(drills).to.include.members(['kill-worker began', 'kill-worker kept', 'kill-agent began', 'kill-agent kept'])
    const between = (from: string, to: string): MeshEvent[] => {
      const at = (what: string): number => all.find(({ about, what: word }) => `${about} ${word}` === what)!.at
      return all.filter((event) => event.at >= at(from) && event.at <= at(to))
    }
    const worker = between('kill-worker began', 'kill-worker kept')
    expect(worker.map(({ kind, what }) => `${kind} ${what}`)).to.include('restart replaced')
    const agent = between('kill-agent began', 'kill-agent kept').map(({ kind, what }) => `${kind} ${what}`)
    expect(agent).to.include.members(['tier center', 'tier agent'])
    expect(await events('--kind', 'drill', '--since', '2h')).to.deep.equal(all.filter(({ kind }) => kind === 'drill'))
  })

  const isCut = async (): Promise<boolean> => {
    const info = (await alpha.json('/server_info?format=hostmesh')) as { registries: { connected: boolean }[] }
    return info.registries.some((one) => !one.connected)
  }

  it('cuts the host off from its centers and kills the agent: the direct tier serves, then the agent again', async () => {
    const report = await reportOf('cut-center')
    expect(report.probe.tiers).to.include.keys('direct', 'agent').and.not.include.keys('center')
  })

  it('kills one of two instances: what it did not answer is tried at the other', async () => {
    const report = await reportOf('kill-application', alpha, '--for', '1s')
    expect(report.probe.versions['drill']).to.be.greaterThan(report.probe.versions['victim'] ?? 0)
    const page = readdirSync(join(alpha.stateDir, 'drills')).find((name) => name.endsWith('kill-application.html'))
    expect(readFileSync(join(alpha.stateDir, 'drills', page!), 'utf8')).to.include('<svg')
  })

  it('runs all that fit in a row, in a dry run says which, and of none that it was chosen to be unsafe', async () => {
    const ran = await hostmesh('drill', 'all', '--safe', '--dry-run', '--json', '-c', alpha.configPath)
    expect(ran.code, ran.err).to.equal(0)
    const plans = JSON.parse(ran.out) as { drill: string; safe: boolean; notNow?: string }[]
    expect(plans.every(({ safe }) => safe)).to.equal(true)
    expect(plans.map(({ drill: name }) => name)).to.include.members(['cut-host', 'full-disk', 'hot-restart'])
    const unfit = plans.filter(({ notNow }) => notNow !== undefined).map(({ drill: name }) => name)
    expect(unfit).to.deep.equal(['certificate-expiry'])
    expect((await drill('kill-agent', '--safe', '-c', alpha.configPath)).code).to.equal(3)
  })

  it('killed with -9 it leaves nothing behind: the fault ends by itself, the probe is taken away', async () => {
    const words = ['cli/main.ts', 'drill', 'cut-registry', '--yes', '--for', '4s', '-c', alpha.configPath]
    const running = spawn(process.execPath, words, { stdio: 'ignore' })
    await alpha.until(20_000, () => 'the registry is not cut off', isCut)
    const files = (): string[] =>
      readdirSync(join(alpha.options.directory, 'services.d')).filter((name) => name.startsWith('hostmesh-drill'))
    expect(files()).to.deep.equal(['hostmesh-drill.yaml'])
    running.kill('SIGKILL')
    await once(running, 'close')
    await alpha.until(
      20_000,
      () => `the probe is still there: ${files().join()}`,
      async () => files().length === 0,
    )
    await alpha.until(
      20_000,
      () => 'the registry is still cut off',
      async () => !(await isCut()),
    )
  })

  it('gives up and restores when real requests suffer', async () => {
    const words = ['cli/main.ts', 'drill', 'cut-registry', '--yes', '--json', '--for', '60s', '-c', alpha.configPath]
    const running = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    running.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()))
    await alpha.until(20_000, () => 'the registry is not cut off', isCut)
    const target = { address: alpha.options.address, port: 15_001, rate: 50, now: () => performance.now() }
    const caller = startHttpCaller({ from: 'test', to: 'nobody', ...target }, 'nobody-has-this-name')
    const [code] = (await once(running, 'close')) as [number]
    caller.stop()
    expect(code).to.equal(1)
    const report = JSON.parse(out) as DrillReport
    expect(report.verdict).to.equal('aborted')
    expect(report.problems[0]).to.match(/gave up: \d+ of \d+ real requests failed, allowed 5 %/)
    expect(await isCut()).to.equal(false)
  })

  it('runs one drill at a time, and puts everything right when it is interrupted', async () => {
    const before = await pids(alpha)
    const words = ['cli/main.ts', 'drill', 'cut-registry', '--yes', '--json', '-c', alpha.configPath]
    const running = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    running.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()))
    const mark = join(alpha.stateDir, 'drills', 'running')
    await alpha.until(
      20_000,
      () => 'no mark of a running drill',
      async () => existsSync(mark),
    )
    const second = await drill('bad-config', '--yes', '-c', alpha.configPath)
    expect(second.err).to.include('E_ALREADY_RUNNING')
    expect(second.code).to.equal(1)
    await alpha.until(30_000, () => 'the registry is not cut off', isCut)
    running.kill('SIGINT')
    const [code] = (await once(running, 'close')) as [number]
    expect(code).to.equal(1)
    expect((JSON.parse(out) as DrillReport).problems).to.deep.equal(['interrupted'])
    expect(existsSync(mark)).to.equal(false)
    await alpha.until(
      20_000,
      () => 'the registry is still cut off',
      async () => !(await isCut()),
    )
    expect(await pids(alpha)).to.deep.equal(before)
  })

  it('refuses where nothing could be measured', async () => {
    const silent = await mesh.startedHost('silent', { extra: { outbound: { http: 'off' } } })
    const ran = await drill('kill-agent', '--yes', '-c', silent.configPath)
    expect(ran.code).to.equal(1)
    expect(ran.out).to.include('not now').and.to.include('outbound.http is off')
  })

  it('says that no watchdog answers when there is none', async () => {
    const empty = mesh.host('empty')
    empty.writeFiles()
    const ran = await drill('kill-agent', '--yes', '-c', empty.configPath)
    expect(ran.code).to.equal(4)
    expect(ran.err).to.include('E_ADMIN_UNREACHABLE').and.to.include('no watchdog answers')
  })

  it('asks for a broken configuration and a bad release: both are refused, nothing is lost', async () => {
    expect((await reportOf('bad-config')).probe.errors).to.equal(0)
    expect((await reportOf('bad-upgrade')).probe.errors).to.equal(0)
  })

  it('cuts the registry off: nothing is lost', async () => {
    expect((await reportOf('cut-registry', alpha, '--for', '2s')).probe.errors).to.equal(0)
  })

  it('kills the center, on the machine of the center', async () => {
    const report = await reportOf('kill-center', center)
    expect(report.probe.calls).to.be.greaterThan(0)
    expect(report.probe.tiers).to.have.property('center')
  })

  it('removes its probe service from the host', () => {
    expect(existsSync(join(alpha.options.directory, 'services.d', 'hostmesh-drill.yaml'))).to.equal(false)
  })
})
