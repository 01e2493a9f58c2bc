import { expect } from 'chai'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Finding, LinkName } from '../../../cli/doctor/finding.ts'
import { contents } from '../../../cli/support/contents.ts'
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { type DemoApplication, type DemoHost, Mesh, call, relayOf, sharedPort, until } from '../../support/mesh/mesh.ts'
import { goBeforeOthers } from '../../support/priority.ts'

interface Report {
  readonly whole: boolean
  readonly tookMs: number
  readonly findings: readonly Finding[]
}

const password = 'correct-horse-battery'
const relaySecret = 'relay-secret-of-this-test-0123456789-abcdef'

/** One world for both commands: they look at a host, and change nothing of it. */
describe('hostmesh doctor and support-bundle', function () {
  this.timeout(180_000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let orders: DemoApplication
  let center: DemoHost
  let alpha: DemoHost
  let goAsOthers: () => void
  const secret = (name: string): string => join(mesh.directory, name)

  before(async () => {
    goAsOthers = goBeforeOthers()
    registry = await startEmbeddedRegistry({ users: [{ username: 'mesh', password }] })
    mesh = await Mesh.open([])
    for (const [name, content] of Object.entries({ user: 'mesh', password, relay: relaySecret }))
      writeFileSync(secret(name), `${content}\n`, { mode: 0o600 })
    const main = { name: 'main', type: 'nacos', servers: [registry.address] }
    const registries = [{ ...main, usernameFile: secret('user'), passwordFile: secret('password') }]
    orders = await mesh.httpApplication('orders', 'v1')
    const relay = { allowedNetworks: ['127.0.0.0/8'], secretFile: secret('relay') }
    center = mesh.host('center', { role: 'center', extra: { registries } })
    Object.assign(center.options, {
      extra: {
        registries,
        relay: { ...relay, address: `${center.options.address}:15443` },
        api: { address: `${center.options.address}:15014` },
      },
    })
    alpha = mesh.host('alpha', {
      applications: [orders],
      outbound: [{ service: 'orders', protocol: 'http' }],
      extra: { registries, center: { addresses: [relayOf(center)], secretFile: secret('relay') } },
    })
    for (const host of [center, alpha]) host.start()
    await Promise.all([center.ready(), alpha.ready()])
    await until(20_000, 'orders answers', async () => {
      return (await call(alpha.options.address, sharedPort, { host: 'orders' })).status === 200
    })
  })

  after(async () => {
    await mesh?.close()
    await registry?.close()
    goAsOthers()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function hostmesh(words: readonly string[], user?: number): Promise<{ code: number; out: string }> {
    const as = user === undefined ? {} : { uid: user, gid: user }
    const argv = [join(import.meta.dirname, '../../../cli/main.ts'), ...words]
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/', ...as })
    const ended = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? -1)))
    return { out: await text(child.stdout), code: await ended }
  }

  async function doctor(...words: string[]): Promise<{ code: number; report: Report }> {
    const { code, out } = await hostmesh(['doctor', '--json', ...words])
    return { code, report: JSON.parse(out) as Report }
  }

  const badLinks = ({ findings }: Report): LinkName[] => [
    ...new Set(findings.filter(({ state }) => state === 'bad' || state === 'unknown').map(({ link }) => link)),
  ]
  const of = ({ findings }: Report, link: LinkName): Finding =>
    findings.find((one) => one.link === link && one.state !== 'good') ?? findings.find((one) => one.link === link)!

  it('finds a healthy host whole within 3 s, and a request to a service arrives', async () => {
    const { code, report } = await doctor('-c', alpha.configPath, 'orders')
    expect(badLinks(report), JSON.stringify(report.findings)).to.deep.equal([])
    expect(code).to.equal(0)
    expect(report.tookMs).to.be.below(3000)
    for (const link of ['registry', 'announced', 'applications', 'center', 'relay targets', 'ports', 'clock'] as const)
      expect(of(report, link), link).to.include({ state: 'good' })
    expect(of(report, 'request').says).to.match(/orders/)
    expect(report.findings.at(-1)!.says).to.include('answered 200')
  })

  it('finds a healthy center whole', async () => {
    const { code, report } = await doctor('-c', center.configPath)
    expect(badLinks(report), JSON.stringify(report.findings)).to.deep.equal([])
    expect(code).to.equal(0)
  })

  it('says of a service that nobody knows that requests do not arrive, with the next command', async () => {
    const { code, report } = await doctor('-c', alpha.configPath, 'nothing')
    expect(code).to.equal(1)
    expect(badLinks(report)).to.deep.equal(['request'])
    const told = report.findings.filter(({ state }) => state === 'bad')
    expect(told.map(({ says }) => says).join()).to.include('E_ROUTE_UNKNOWN_SERVICE')
    for (const { next } of told) expect(next).to.include(`hostmesh explain nothing/ -c ${alpha.configPath}`)
  })

  it('names a wrong password, and shows none', async () => {
    writeFileSync(secret('password'), 'wrong-horse\n')
    try {
      const { code, report } = await doctor('-c', alpha.configPath)
      expect(code).to.equal(4)
      expect(of(report, 'registry').says).to.match(/^main: E_REGISTRY_DENIED .*login of user "mesh"/)
      expect(of(report, 'registry').next).to.include('correct the files')
      expect(JSON.stringify(report)).to.not.include('wrong-horse').and.to.not.include(password)
    } finally {
      writeFileSync(secret('password'), `${password}\n`)
      await until(90_000, 'the registry lets the agent in again', async () => {
        const { problems } = (await alpha.json('/ready?format=json')) as { problems: string[] }
        return problems.length === 0
      })
    }
  })

  it('names a center whose secret is another one', async () => {
    const other = join(mesh.directory, 'other.yaml')
    writeFileSync(secret('other'), `other-${relaySecret}\n`, { mode: 0o600 })
    writeFileSync(other, readFileSync(alpha.configPath, 'utf8').replace(secret('relay'), secret('other')))
    const { code, report } = await doctor('-c', other)
    expect(code).to.equal(1)
    expect(of(report, 'center').says).to.include('secrets differ')
  })

  it('tells another user what it may not look at, instead of calling it broken', async function () {
    if (process.getuid!() !== 0) {
      console.log('skipped: only root can play several users')
      this.skip()
    }
    chmodSync(mesh.directory, 0o755)
    const { code, out } = await hostmesh(['doctor', '--json', '-c', alpha.configPath, 'orders'], 65_534)
    const report = JSON.parse(out) as Report
    expect(code).to.equal(1)
    expect(report.findings.filter(({ state }) => state === 'bad')).to.deep.equal([])
    expect(of(report, 'watchdog')).to.include({ state: 'unknown', next: `sudo hostmesh doctor -c ${alpha.configPath}` })
    expect(out).to.include('answered 200')
  })

  it('names a clock that stands in 2050, and a host with such a clock serves, and goes on when it is right again', async () => {
    const registries = [{ name: 'main', type: 'nacos', servers: [registry.address] }]
    const signed = { usernameFile: secret('user'), passwordFile: secret('password') }
    const extra = { registries: registries.map((one) => ({ ...one, ...signed })) }
    const late = mesh.host('late', { outbound: [{ service: 'orders', protocol: 'http' }], extra })
    const ask = async () => (await call(late.options.address, sharedPort, { host: 'orders' })).status
    const before = process.env['NODE_OPTIONS']
    process.env['NODE_OPTIONS'] = `--import=${join(import.meta.dirname, '../../support/continuity/clock-in-2050.mjs')}`
    try {
      late.start()
      await late.ready()
      await until(20_000, 'it serves', async () => (await ask()) === 200)
      const { code, report } = await doctor('-c', late.configPath)
      expect(code).to.equal(1)
      expect(badLinks(report), JSON.stringify(report.findings)).to.deep.equal(['clock'])
      expect(of(report, 'clock').says).to.match(
        /^it is 2050-01-01T.* s from .*: centers refuse the proofs of this host$/,
      )
      expect(of(report, 'clock').next).to.include('timedatectl')
    } finally {
      if (before === undefined) delete process.env['NODE_OPTIONS']
      else process.env['NODE_OPTIONS'] = before
      await late.stop()
    }
    late.start()
    await late.ready()
    await until(20_000, 'it serves again', async () => (await ask()) === 200)
    const { report } = await doctor('-c', late.configPath)
    expect(badLinks(report), JSON.stringify(report.findings)).to.deep.equal([])
    await late.stop()
  })

  it('names a local application that is dead, with the port that it should have', async () => {
    const dead = await mesh.httpApplication('dead', 'v1', orders.address)
    alpha.addApplication(dead, 'dead')
    await dead.close()
    const file = join(alpha.options.directory, 'services.d/dead.yaml')
    try {
      const isKnown = async (): Promise<boolean> =>
        JSON.stringify(await alpha.json('/registrations?format=json')).includes(`:${dead.port}`)
      await until(10_000, 'the agent knows the dead application', isKnown)
      const { code, report } = await doctor('-c', alpha.configPath)
      expect(code).to.equal(1)
      expect(of(report, 'applications').says).to.match(
        /dead .*: the application does not take connections: ECONNREFUSED/,
      )
      expect(of(report, 'applications').next).to.include(`sport = :${dead.port}`)
    } finally {
      rmSync(file)
    }
  })

  it('prints findings as lines with cause, proof and next command, without what a terminal would obey', async () => {
    const { code, out } = await hostmesh(['doctor', '-c', alpha.configPath, 'no\u001b[31mthing'])
    expect(code).to.equal(1)
    expect(out).to.match(/^good {6}watchdog/m)
    expect(out).to.match(/^bad {7}request +"no \[31mthing"/m)
    expect(out).to.match(/^ {24}next /m)
    expect(out).to.not.include('\u001b')
  })

  describe('support-bundle', () => {
    const unpacked = (file: string): Map<string, string> => {
      const folder = join(mesh.directory, `unpacked-${readdirSync(mesh.directory).length}`)
      mkdirSync(folder)
      const done = spawnSync('tar', ['-xzf', file, '-C', folder], { encoding: 'utf8' })
      expect(done.status, done.stderr).to.equal(0)
      const inside = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
      return new Map(
        inside.map(({ name, parentPath }) => {
          const path = join(parentPath, name)
          return [path.slice(folder.length + 1).replace(/^[^/]+\//, ''), readFileSync(path, 'utf8')]
        }),
      )
    }

    it('has what its list says, for its owner alone, and no secret of the host', async () => {
      const rules = join(alpha.options.directory, 'rules.d/secret.yaml')
      writeFileSync(
        rules,
        `# comment with ${password}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [orders]
  http:
    - headers: { request: { set: { x-key: header-value-of-a-rule } } }
      route: [{ destination: { host: orders } }]
`,
      )
      const file = join(mesh.directory, 'bundle.tar.gz')
      const { code, out } = await hostmesh(['support-bundle', '-c', alpha.configPath, '--output', file, '--json'])
      expect(code).to.equal(0)
      expect((statSync(file).mode & 0o777).toString(8)).to.equal('600')
      expect(statSync(file).size).to.be.below(20 * 1024 * 1024)
      const pieces = unpacked(file)
      const names = [
        ...pieces.keys(),
        ...(JSON.parse(out) as { lacking: { name: string }[] }).lacking.map((one) => one.name),
      ]
      // a drill has not run here
      for (const { name } of contents.filter((line) => line.name !== 'drills/'))
        expect(
          names.some((one) => one.startsWith(name)),
          `${name} in ${names.join()}`,
        ).to.equal(true)
      for (const [name, content] of pieces)
        for (const word of [password, relaySecret, 'header-value-of-a-rule', 'PRIVATE KEY'])
          expect(content.includes(word), `${word} in ${name}`).to.equal(false)
      expect(pieces.get('configuration/node.yaml')).to.include('passwordFile').and.to.include(registry.address)
      expect(pieces.get('configuration/rules.d/secret.yaml')).to.include('x-key: "[masked]"')
      expect(pieces.get('MANIFEST.txt')).to.include('control/metrics.txt')
      rmSync(rules)
    })

    it('never writes to what is there already', async () => {
      const file = join(mesh.directory, 'taken.tar.gz')
      writeFileSync(file, 'mine')
      const { code } = await hostmesh(['support-bundle', '-c', alpha.configPath, '--output', file])
      expect(code).to.equal(1)
      expect(readFileSync(file, 'utf8')).to.equal('mine')
      expect(readdirSync(mesh.directory).filter((name) => name.startsWith('taken'))).to.deep.equal(['taken.tar.gz'])
    })

    it('says what would be in it and writes nothing', async () => {
      const { code, out } = await hostmesh(['support-bundle', '--list'])
      expect(code).to.equal(0)
      for (const { name } of contents) expect(out).to.include(name)
    })
  })

  it('names a registry that is down, and that the configuration is broken before anything else', async () => {
    await registry.close()
    const { code, report } = await doctor('-c', alpha.configPath)
    expect(code).to.equal(4)
    expect(of(report, 'registry')).to.include({ state: 'bad' })
    expect(of(report, 'registry').says).to.match(/E_REGISTRY_/)
    const broken = join(mesh.directory, 'broken.yaml')
    writeFileSync(broken, `${readFileSync(alpha.configPath, 'utf8')}\nportt: 7\n`)
    const { code: worse, report: both } = await doctor('-c', broken)
    expect(worse).to.equal(3)
    expect(badLinks(both)).to.include.members(['configuration', 'registry'])
    expect(of(both, 'watchdog').state, 'the rest is looked at all the same').to.equal('good')
  })

  it('names an agent that is dead, and makes a bundle of what is left', async () => {
    await alpha.stop(500)
    const { code, report } = await doctor('-c', alpha.configPath, 'orders')
    expect(code).to.equal(4)
    expect(badLinks(report)).to.include.members(['watchdog', 'control', 'request'])
    expect(of(report, 'watchdog').next).to.include('journalctl -u hostmesh')
    const file = join(mesh.directory, 'dead.tar.gz')
    const bundle = await hostmesh(['support-bundle', '-c', alpha.configPath, '--output', file])
    expect(bundle.code).to.equal(0)
    expect(bundle.out).to.match(/without control\/ready.json: .*does not answer/)
    expect(statSync(file).size).to.be.greaterThan(0)
  })
})
