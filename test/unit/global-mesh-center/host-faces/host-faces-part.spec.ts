/**
 * A watchdog that takes Nacos clients to a center, and the center that stands for the face of that host: both as they
 * are, TLS between them; the registry is a list.
 */
import { expect } from 'chai'
import { createServer, type Server } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkConfig } from '../../../../agent/control/config/check.ts'
import type { PartDeps } from '../../../../agent/control/leading-part.ts'
import { systemClock } from '../../../../contracts/clock.ts'
import type { FaceRelay as FaceTargets } from '../../../../contracts/host-face.ts'
import type { Registration } from '../../../../contracts/registry-adapter.ts'
import type { ReportedFace } from '../../../../contracts/reported-face.ts'
import type { RelayTargets } from '../../../../contracts/relay-targets.ts'
import { centerKind } from '../../../../global-mesh-center/config/center-kind.ts'
import type { CenterConfig } from '../../../../global-mesh-center/config/types.ts'
import { HostFacesPart } from '../../../../global-mesh-center/host-faces/host-faces-part.ts'
import type { KnownHost } from '../../../../global-mesh-center/hosts/host-table.ts'
import { RulesPart } from '../../../../global-mesh-center/rules-api/rules-part.ts'
import { LocalCallers } from '../../../../guard/local-callers.ts'
import { FaceRelay } from '../../../../watchdog/relay/face-relay.ts'
import { hostReport } from '../../../support/center/host-report.ts'
import { freePort } from '../../../support/free-port.ts'
import { RawGrpc } from '../../../support/nacos-clients/raw-grpc.ts'
import { Authority } from '../../../support/tls/authority.ts'
import { until } from '../../../support/mesh/mesh.ts'

const machine = { hostName: 'center-1', defaultAddress: '10.0.0.8', processors: 2 }
const kernelPorts = { ephemeral: undefined, reserved: [] }
const log = { debug() {}, info() {}, warn() {}, error() {} }
const own = process.getuid!()
const tokens = { beta: 'b'.repeat(40), gamma: 'g'.repeat(40) }

describe('Nacos clients of a host without control, at a center', function () {
  this.timeout(30_000)
  let folder: string
  let rules: RulesPart
  let faces: HostFacesPart
  let relay: FaceRelay
  let hasControl: boolean
  let now: number
  /** The clock of the center goes ahead, ms. */
  let ahead = 0
  let targets: FaceTargets
  let face: ReportedFace | undefined
  let announced: Registration[]
  const lines: string[] = []
  const counted = new Map<string, number>()
  const gauges = new Map<string, number>()
  const told: string[] = []

  const servedAt = (): string => `http://127.0.0.1:${targets.httpPort}/nacos`
  const register = (query: string): Promise<Response> =>
    fetch(`${servedAt()}/v1/ns/instance?${query}`, { method: 'POST', headers: { connection: 'close' } })
  const relaying = (): Promise<number> => {
    now += 3000
    return until(10_000, 'the ports of the face', async () => relay.state()!.isRelaying)
  }

  before(async () => {
    const port = await freePort()
    const [httpPort, grpcPort] = [await freePort(), await freePort()]
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-host-faces-'))
    const at = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text, { mode: 0o600 })
      return join(folder, name)
    }
    const authority = new Authority()
    const leaf = authority.leaf(undefined, { dns: ['localhost'] })
    const logins = Object.entries(tokens).map(([user, token]) => `- { user: ${user}, token: ${token}, role: host }`)
    const file = at(
      'center.yaml',
      `role: center\nrelay: { allowedNetworks: [10.0.0.0/8] }\nstateDir: ${folder}\nhosts: { nacosFace: true }\n` +
        `registries: [{ name: main, type: nacos, servers: [10.0.0.2:8848] }]\n` +
        `rulesApi:\n  address: 127.0.0.1:${port}\n  tokensFile: ${at('tokens', `${logins.join('\n')}\n`)}\n` +
        `  tls: { cert: ${at('cert', leaf.certificate)}, key: ${at('key', leaf.key)} }\n`,
    )
    const checked = checkConfig(file, centerKind, { machine, kernelPorts })
    expect(checked.problems.filter(({ severity }) => severity === 'error')).to.deep.equal([])
    announced = []
    const adapter = {
      name: 'main',
      register(registration: Registration) {
        announced.push(registration)
        const forget = (): void => void (announced = announced.filter((one) => one !== registration))
        return { update() {}, deregister: async () => forget(), release: forget, state: 'registered' }
      },
      listServices: async () => ['public/DEFAULT_GROUP@@orders'],
    }
    const control = {
      core: {
        replaceRules() {},
        compiler: { need() {}, drop() {} },
        directory: { view: () => ({ isAnswered: true, set: undefined }) },
        store: { service: () => undefined },
        onEndpoints: () => () => undefined,
        onAnswered: () => () => undefined,
      },
      deps: { rules: { version: 0, statuses: () => [] }, adapters: [adapter] },
      timeline: { add: ({ about, what }: { about: string; what: string }) => told.push(`${about} ${what}`) },
    }
    const callers = new LocalCallers(() => performance.now())
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + ahead }
    const metrics = {
      count: (name: string) => void counted.set(name, (counted.get(name) ?? 0) + 1),
      gauge: (name: string, _labels: object, value: number) => gauges.set(name, value),
    }
    const { config } = checked
    const deps = {
      config,
      control,
      callers,
      clock,
      random: () => 0.5,
      log,
      metrics,
    } as unknown as PartDeps<CenterConfig>
    rules = new RulesPart(deps, '1.2.3', () => {})
    faces = new HostFacesPart({
      ...deps,
      known: (host) =>
        host === 'beta'
          ? ({
              report: hostReport('beta', '10.0.0.5', {
                zone: 'z1',
                ...(face === undefined ? {} : { nacosFace: face }),
              }),
            } as KnownHost)
          : undefined,
    })
    rules.upgrade(faces)
    await Promise.all([rules.open(), faces.open()])
    targets = {
      address: '127.0.0.1',
      httpPort,
      grpcPort,
      servers: ['127.0.0.1:1', `localhost:${port}`],
      tokenFile: at('token', `${tokens.beta}\n`),
      tls: { ca: at('ca', authority.certificate) },
    }
  })
  beforeEach(() => {
    face = { addresses: ['10.0.0.5'], hostNames: [], trusted: [], grants: [], held: [] }
    now = 1000
    hasControl = false
    lines.length = 0
    relay = new FaceRelay({
      targets: () => ({ host: 'beta', nacosFace: targets }) as RelayTargets,
      hasControl: () => hasControl,
      maxBufferBytes: 65_536,
      now: () => now,
      log: (_level, message) => lines.push(message),
    })
    relay.open()
  })
  afterEach(() => relay.close())
  after(async () => {
    await Promise.all([faces?.close(), rules?.close()])
    rmSync(folder, { recursive: true, force: true })
  })

  it('are let wait for three seconds, and registered with the address of their host then', async () => {
    now += 2999
    relay.look()
    expect(relay.state()!.isRelaying).to.equal(false)
    await relaying()
    const reply = await register('serviceName=orders&ip=127.0.0.1&port=8080&weight=1&metadata=version%3Dv2')
    expect([reply.status, await reply.text()]).to.deep.equal([200, 'ok'])
    expect(announced).to.have.length(1)
    expect(announced[0]).to.deep.include({ address: '10.0.0.5', port: 8080, healthy: true, cluster: 'DEFAULT' })
    expect(announced[0]!.metadata).to.deep.equal({ version: 'v2', zone: 'z1' })
    expect(told).to.include('beta standing in')
    await fetch(`${servedAt()}/v1/ns/instance?serviceName=orders&ip=127.0.0.1&port=8080`, { method: 'DELETE' })
    expect(announced).to.deep.equal([])
  })

  it('are held to what their host said before: weights, ports, services of others, addresses', async () => {
    face = {
      ...face!,
      held: [
        { service: 'public/DEFAULT_GROUP@@Ledger', user: own + 1, address: '127.0.0.1', port: 9000 },
        { service: 'public/DEFAULT_GROUP@@vault', user: -1, address: '', port: 0 },
      ],
    }
    await relaying()
    const refusals: Record<string, RegExp> = {
      'serviceName=orders&ip=127.0.0.1&port=8080&weight=2': /^403 .*weight 2/,
      'serviceName=orders&ip=127.0.0.1&port=80': /^403 .*port 80: below 1024/,
      'serviceName=ledger&ip=127.0.0.1&port=8080': /^403 .*belongs to another user/,
      'serviceName=vault&ip=127.0.0.1&port=8080': /^403 .*belongs to another user/,
      'serviceName=orders&ip=10.0.0.6&port=8080': /^400 .*10\.0\.0\.6:8080: no address of this host/,
    }
    for (const [query, refusal] of Object.entries(refusals)) {
      const reply = await register(query)
      expect(`${reply.status} ${await reply.text()}`, query).to.match(refusal)
    }
    expect(announced).to.deep.equal([])
    face = { ...face, trusted: [own] }
    expect((await register('serviceName=orders&ip=10.0.0.5&port=80&weight=2')).status).to.equal(200)
    expect(announced).to.have.length(1)
    await fetch(`${servedAt()}/v1/ns/instance?serviceName=orders&ip=10.0.0.5&port=80`, { method: 'DELETE' })
  })

  it('are given back when the ports answer by a control, and announced until others know the agent’s', async () => {
    await relaying()
    const client = new RawGrpc(`127.0.0.1:${targets.grpcPort}`)
    let control: Server | undefined
    try {
      await client.setUp()
      const instance = { ip: '127.0.0.1', port: 8081, ephemeral: true }
      const body = {
        namespace: '',
        serviceName: 'stock',
        groupName: 'DEFAULT_GROUP',
        instance,
        type: 'registerInstance',
      }
      expect((await client.request('InstanceRequest', body)).body).to.include({ resultCode: 200 })
      expect(announced.map(({ port }) => port)).to.deep.equal([8081])
      hasControl = true
      await until(10_000, 'the ports are left', async () => !relay.state()!.isRelaying)
      expect(relay.state()!.active, 'nobody answers there yet').to.be.greaterThan(0)
      control = createServer().listen(targets.grpcPort, '127.0.0.1')
      await client.closed
      await until(10_000, 'nothing is left here', async () => relay.state()!.active === 0)
      expect(
        announced.map(({ port }) => port),
        'its agent has not said so yet',
      ).to.deep.equal([8081])
      await until(10_000, 'it is taken back', async () => {
        ahead += 1000
        return announced.length === 0
      })
      expect(gauges.get('host_faces_connections')).to.equal(0)
    } finally {
      client.close()
      control?.close()
    }
  })

  it('are answered by nobody where the host says who it is not, or has no face, and the log says why', async () => {
    await relaying()
    writeFileSync(targets.tokenFile!, tokens.gamma)
    try {
      await register('serviceName=orders&ip=127.0.0.1&port=8080').then(
        () => expect.fail('it was answered'),
        () => undefined,
      )
      expect(relay.state()).to.include({ refused: 1, active: 0 })
      expect(relay.state()!.problem).to.match(/127\.0\.0\.1:1: cannot be reached; .*403 .*gamma may not register/)
      expect(lines.at(-1)).to.match(/^a Nacos client is answered by nobody: /)
    } finally {
      writeFileSync(targets.tokenFile!, tokens.beta)
    }
    face = undefined
    await register('serviceName=orders&ip=127.0.0.1&port=8080').catch(() => undefined)
    expect(relay.state()!.problem).to.match(/409 .*has not reported a Nacos face/)
    expect(announced).to.deep.equal([])
    expect(counted.get('host_faces_refused')).to.equal(2)
  })

  it('leave ports alone that somebody else has', async () => {
    const other = createServer().listen(targets.httpPort, '127.0.0.1')
    try {
      now += 3000
      await until(10_000, 'it has tried', async () => lines.some((line) => line.includes('are left to control')))
      expect(relay.state()).to.include({ isRelaying: false, active: 0 })
    } finally {
      other.close()
    }
  })
})
