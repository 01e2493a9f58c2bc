import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { DrillReport } from '../../../cli/drill/report.ts'
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../../../registry-adapters/nacos/face/embedded.ts'
import { type DemoHost, Mesh, relayOf } from '../../support/mesh/mesh.ts'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

function drill(...argv: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['cli/main.ts', 'drill', ...argv], (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, out, err })
    })
  })
}

describe('hostmesh drill', function () {
  this.timeout(90_000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let alpha: DemoHost
  let center: DemoHost

  before(async () => {
    registry = await startEmbeddedRegistry()
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    center = mesh.host('center', { role: 'center' })
    alpha = mesh.host('alpha', { centers: [relayOf(center)] })
    for (const host of [center, alpha]) host.start()
    await Promise.all([center.ready(), alpha.ready()])
  })

  after(async () => {
    await mesh?.close()
    await registry?.close()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function reportOf(name: string, host: DemoHost = alpha): Promise<DrillReport> {
    const ran = await drill(name, '--yes', '--json', '-c', host.configPath)
    const report = JSON.parse(ran.out) as DrillReport
    expect(report.problems).to.deep.equal([])
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

  it('kills a worker: nothing but calls in flight is lost', async () => {
    await reportOf('kill-worker')
  })

  it('kills the agent: another tier serves, then the agent again; the report is kept as JSON and Markdown', async () => {
    const report = await reportOf('kill-agent')
    const tiers = Object.keys(report.probe.tiers)
    expect(tiers).to.include('agent')
    expect(tiers.length, tiers.join()).to.be.greaterThan(1)
    const files = readdirSync(join(alpha.stateDir, 'drills')).filter((name) => name.includes('kill-agent'))
    expect(files.map((name) => name.split('.').at(-1))).to.have.members(['json', 'md'])
  })

  it('hangs the agent: it is noticed and replaced', async () => {
    const report = await reportOf('hang-agent')
    expect(report.recoveryMs).to.be.below(15_000)
  })

  it('asks for a broken configuration and a bad release: both are refused, nothing is lost', async () => {
    expect((await reportOf('bad-config')).probe.errors).to.equal(0)
    expect((await reportOf('bad-upgrade')).probe.errors).to.equal(0)
  })

  it('cuts the registry off: nothing is lost', async () => {
    expect((await reportOf('cut-registry')).probe.errors).to.equal(0)
  })

  it('kills the center, on the machine of the center', async () => {
    await reportOf('kill-center', center)
  })

  it('removes its probe service from the host', () => {
    expect(existsSync(join(alpha.options.directory, 'services.d', 'hostmesh-drill.yaml'))).to.equal(false)
  })
})
