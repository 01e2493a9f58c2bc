import { spawnSync } from 'node:child_process'
import { expect } from 'chai'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentKind } from '../../../../../agent/control/config/agent-kind.ts'
import { checkConfig, formatProblem, type CheckResult } from '../../../../../agent/control/config/check.ts'

const machine = { hostName: 'host-1', defaultAddress: '10.0.0.5', processors: 2 }
const kernelPorts = { ephemeral: { first: 32_768, last: 60_999 }, reserved: [] }

describe('the configuration check', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-check-'))
    mkdirSync(join(folder, 'services.d'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  function check(agentYaml: string, files: Record<string, string> = {}): CheckResult {
    writeFileSync(join(folder, 'agent.yaml'), agentYaml)
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    return checkConfig(join(folder, 'agent.yaml'), agentKind, { machine, kernelPorts })
  }
  const lines = (result: CheckResult): string[] =>
    result.problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ''))

  it('takes an empty file: everything has a default', () => {
    const { isValid, config, problems } = check('')
    expect(problems).to.deep.equal([])
    expect(isValid).to.equal(true)
    expect(config?.outbound.http).to.deep.equal({ host: '127.0.0.1', port: 15_001 })
    expect(config?.inbound.address).to.equal('10.0.0.5')
    expect(config?.metrics.address).to.deep.equal({ host: '10.0.0.5', port: 15_020 })
    expect(config?.limits.headTimeoutMs).to.equal(10_000)
    expect(config?.workers).to.equal(2)
    expect(config?.servicesDir).to.equal(join(folder, 'services.d'))
  })

  it('gives no token of a center or a control plane to whoever listens on the way', () => {
    const said = (type: string, server: string, more = ''): string[] => {
      const section = `{ name: a, type: ${type}, servers: [${server}], tokenFile: a.token${more} }`
      const result = check(`registries: [${section}]`, { 'a.token': 'x'.repeat(40) })
      return lines(result).filter((line) => !line.includes('a.token'))
    }
    for (const type of ['center', 'xds']) {
      expect(said(type, '10.0.0.8:15010').join('\n')).to.include('without tls the token would be read on the way')
      expect(said(type, 'center.example:15010').join('\n')).to.include('on the way to center.example')
      expect(said(type, '127.0.0.1:15010')).to.deep.equal([])
      expect(said(type, '10.0.0.8:15010', ', tls: {}')).to.deep.equal([])
    }
  })

  it('finds what keeps the mesh API of SOFARPC from its callers', () => {
    const bad = check(`
sofaFace: { enabled: true, address: 10.0.0.5, registry: mian, port: 15000 }
registries: [{ name: main, type: nacos, servers: [10.0.0.2:8848] }]
outbound: { rpc: [{ protocol: dubbo, address: 10.0.0.5:12220 }] }
`)
    expect(lines(bad).join('\n'))
      .to.include('sofaFace.address')
      .and.include('no loopback address')
      .and.include('found dubbo there by outbound.rpc, allowed bolt or auto')
      .and.include('found "mian", allowed main')
    const taken = check('sofaFace: { enabled: true, port: 15000 }')
    expect(lines(taken).join('\n')).to.include('127.0.0.1:15000 is taken by')
    expect(lines(check('sofaFace: { enabled: true }'))).to.deep.equal([])
    const auto = check(`
sofaFace: { enabled: true }
outbound: { rpc: [{ protocol: auto, address: 127.0.0.1:12220 }] }
`)
    expect([lines(auto), auto.config?.outbound.rpc.length]).to.deep.equal([[], 1])
  })

  it('reads the example of the manual', () => {
    const { problems, config, applications } = check(
      `host: { address: 10.0.0.5, zone: bj-1, region: bj }
registries:
  - { name: main, type: nacos, servers: [10.0.0.2:8848, 10.0.0.3:8848], namespace: public }
outbound:
  http: 127.0.0.1:15001
  portRange: 20000-20999
  services:
    - { service: orders, protocol: http }
    - { service: DEFAULT_GROUP@@ledger, port: 20007, protocol: tcp }
inbound: { portRange: 21000-21999 }
center: { addresses: [10.0.0.8:15443, 10.0.0.9:15443] }
workers: auto
admin: { address: 127.0.0.1:15000, socket: /run/hostmesh/admin.sock }
`,
      { 'services.d/orders.yaml': 'service: orders\nport: 8080\ncheck: { http: /health, interval: 5s }\n' },
    )
    expect(problems).to.deep.equal([])
    expect(config?.outbound.services[1]).to.deep.equal({
      service: { namespace: 'public', group: 'DEFAULT_GROUP', name: 'ledger' },
      port: 20_007,
      protocol: 'tcp',
      halfClosed: 'gone',
    })
    expect(applications[0]?.check).to.include({ http: '/health', interval: 5000, timeout: 1000 })
  })

  it('gives a service without namespace and group those of the first Nacos registry', () => {
    const { config, applications } = check(
      `registries: [{ name: main, type: nacos, servers: [10.0.0.2:8848], namespace: dev, group: shop }]
outbound: { services: [{ service: orders }, { service: other@@ledger }, { service: public/x@@y }] }
`,
      { 'services.d/a.yaml': 'service: orders\nport: 8080\n' },
    )
    expect(config?.outbound.services.map((one) => one.service)).to.deep.equal([
      { namespace: 'dev', group: 'shop', name: 'orders' },
      { namespace: 'dev', group: 'other', name: 'ledger' },
      { namespace: 'public', group: 'x', name: 'y' },
    ])
    expect(applications[0]?.service).to.deep.equal({ namespace: 'dev', group: 'shop', name: 'orders' })
  })

  it('says of an application that its registry cannot take it, which is served all the same', () => {
    const agent = `registries:
  - { name: main, type: consul }
  - { name: local-files, type: file, directory: /etc/endpoints }
  - { name: pods, type: kubernetes, kubeconfig: ./kubeconfig, write: endpoint-slices, namespaces: [shop, bank] }
`
    const files = {
      kubeconfig: '',
      'services.d/a.yaml': 'service: orders\nport: 8080\nregistry: local-files\n',
      'services.d/b.yaml': 'service: OTHER@@orders\nport: 8081\n',
      'services.d/c.yaml': 'service: bank@@orders\nport: 8082\nregistry: pods\n',
      'services.d/d.yaml': 'service: orders\nport: 8083\n',
    }
    const result = check(agent, files)
    expect(lines(result).filter((line) => line.startsWith('services.d'))).to.deep.equal([
      'services.d/a.yaml:3:1  registry: found "local-files", which is only read, allowed main, pods; it is not announced',
      'services.d/b.yaml:1:1  service: public/OTHER@@orders: registry main has public/DEFAULT_GROUP alone; it is not announced',
    ])
    expect(result.applications.map(({ port }) => port)).to.deep.equal([8080, 8081, 8082, 8083])
    const alone = check('registries: [{ name: local-files, type: file, directory: /etc/endpoints }]\n', {
      'services.d/a.yaml': files['services.d/a.yaml'],
    })
    expect(lines(alone).join()).to.include('which is only read, allowed none: no registry takes applications')
  })

  it('takes every protocol that operators name, as what it is carried as', () => {
    const { config, problems } = check(`
outbound:
  services:
    - { service: a, protocol: websocket }
    - { service: b, protocol: grpc }
    - { service: c, protocol: http2 }
`)
    expect(problems).to.deep.equal([])
    expect(config?.outbound.services.map((one) => one.protocol)).to.deep.equal(['http', 'grpc', 'http2'])
  })

  it('refuses a description of frames that cannot be, with its lines', () => {
    const example = readFileSync('examples/rpc/mainstay.yaml', 'utf8')
    expect(check(example).problems).to.deep.equal([])
    const found = lines(check(example.replace('id: { at: 4, bytes: 8 }', 'id: { at: 3, bytes: 8 }')))
    expect(found).to.deep.equal(['agent.yaml:15:5  rpcProtocols[0].type: overlaps id'])
    expect(lines(check(example.replace('name: mainstay', 'name: grpc'))).join()).to.include(
      'rpcProtocols[0].name: "grpc" is a protocol already',
    )
    expect(lines(check(example.replace("'4d53'", '4d5'))).join()).to.include('in quotes, like "4d53"')
    expect(lines(check(example.replace('protocol: mainstay', 'protocol: mainstai'))).join()).to.include(
      'found "mainstai", allowed bolt, dubbo, thrift, auto, mainstay (nearest: mainstay)',
    )
    expect(lines(check(example, { 'services.d/a.yaml': 'service: a\nport: 99\nprotocol: mainstay\n' }))).to.deep.equal(
      [],
    )
    const unknown = check(example, { 'services.d/a.yaml': 'service: a\nport: 99\nprotocol: mainstai\n' })
    expect(lines(unknown).join()).to.include('a.yaml:3:1  protocol: found "mainstai", allowed http,')
  })

  it('takes ports of tunnels at loopback addresses alone, that nobody else has', () => {
    const outbound = (text: string): string[] => lines(check(`outbound: { ${text} }\n`))
    expect(outbound('tunnels: { sharedPort: true, address: 127.0.0.1:1080 }')).to.deep.equal([])
    expect(outbound('tunnels: { address: 0.0.0.0:1080 }').join()).to.include(
      'outbound.tunnels.address: 0.0.0.0 is no loopback address',
    )
    expect(outbound('http: 10.0.0.5:15001, tunnels: { sharedPort: true }').join()).to.include(
      'outbound.tunnels.sharedPort: outbound.http is at 10.0.0.5, which is no loopback address',
    )
    expect(outbound('http: off, tunnels: { sharedPort: true }').join()).to.include('outbound.http is off')
    expect(outbound('tunnels: { address: 127.0.0.1:15001 }')).to.have.length(1)
  })

  it('names what is wrong with unix sockets: paths, modes, users', () => {
    const sockets = (text: string): string[] => lines(check(`outbound: { sockets: [${text}] }\n`))
    expect(
      sockets('{ path: /run/a.sock, protocol: bolt, mode: "0600", user: 0, group: 0, application: cart }'),
    ).to.deep.equal([])
    expect(sockets('{ path: a.sock, mode: 0660 }').join()).to.include(
      'outbound.sockets[0].mode: found 660, allowed an octal file mode from 0000 to 0777, as text',
    )
    expect(sockets('{ path: b.sock, protocol: bolts }').join()).to.include(
      'outbound.sockets[0].protocol: found "bolts", allowed http, bolt, dubbo, thrift, auto (nearest: bolt)',
    )
    expect(sockets('{ path: /run/a.sock }, { path: /run/a.sock, user: nobody-here, group: nobody-here }').join('\n'))
      .to.include('/run/a.sock is taken by outbound.sockets[0].path')
      .and.to.include('/etc/passwd has no user nobody-here')
      .and.to.include('/etc/group has no group nobody-here')
    expect(sockets(`{ path: /${'a'.repeat(107)} }`).join()).to.include('108 bytes, allowed 107')
  })

  it('knows which protocols there are', () => {
    expect(lines(check('outbound: { services: [{ service: orders, protocol: htp }] }\n'))).to.deep.equal([
      'agent.yaml:1:43  outbound.services[0].protocol: found "htp", allowed http, websocket, http2, grpc, tcp, udp, bolt, dubbo, thrift (nearest: http)',
    ])

    const text = 'outbound: { rpc: [{ protocol: bolts, address: 127.0.0.1:12200 }] }\n'
    expect(lines(check(text))).to.deep.equal([
      'agent.yaml:1:21  outbound.rpc[0].protocol: found "bolts", allowed bolt, dubbo, thrift, auto (nearest: bolt)',
    ])
    expect(check(text.replace('bolts', 'bolt')).problems).to.deep.equal([])
    const twice = 'outbound: { http: 127.0.0.1:12200, rpc: [{ protocol: bolt, address: 127.0.0.1:12200 }] }\n'
    expect(lines(check(twice)).join()).to.include('is taken by outbound.http')
  })

  it('reports every problem at once with file, line, path, found, allowed and the nearest name', () => {
    const result = check(
      `host: { zon: bj-1 }
registries:
  - { name: main, type: nacoss, servers: [10.0.0.2:8848] }
outbound:
  portRange: 2000
  services:
    - { service: or ders }
limits: { headTimeout: 10 }
workers: many
`,
      { 'services.d/a.yaml': 'service: a\nport: 99999\nweihgt: 3\n' },
    )
    expect(result.isValid).to.equal(false)
    expect(result.config).to.equal(undefined)
    const found = lines(result)
    expect(found).to.include(
      'agent.yaml:1:9  host.zon: unknown key, allowed name, address, zone, region, labels (nearest: zone)',
    )
    expect(found).to.include(
      'agent.yaml:3:19  registries[0].type: found "nacoss", allowed nacos, zookeeper, consul, kubernetes, etcd, dns, file, center, xds (nearest: nacos)',
    )
    expect(found).to.include(
      'agent.yaml:5:3  outbound.portRange: found 2000, allowed a range of ports like 20000-20999',
    )
    expect(found).to.include(
      'agent.yaml:8:11  limits.headTimeout: found 10, allowed a time with unit from 100ms to 10m, like 500ms, 30s, 5m',
    )
    expect(found).to.include('agent.yaml:9:1  workers: found "many", allowed auto, or a whole number from 1 to 64')
    expect(found).to.have.length(6)
  })

  it('reports the files of services.d together with the problems of agent.yaml', () => {
    const result = check('workers: many\n', { 'services.d/a.yaml': 'service: a\nport: 99999\nweihgt: 3\n' })
    const found = lines(result)
    expect(found).to.have.length(3)
    expect(found[1]).to.equal('services.d/a.yaml:2:1  port: found 99999, allowed a port number from 1 to 65535')
    expect(found[2]).to.match(/^services.d\/a.yaml:3:1 {2}weihgt: unknown key, .* \(nearest: weight\)$/)
  })

  it('does not wait for a pipe in services.d, and takes the other files', () => {
    expect(spawnSync('mkfifo', [join(folder, 'services.d/a.yaml')]).status).to.equal(0)
    const result = check('', { 'services.d/b.yaml': 'service: b\nport: 8080\n' })
    expect(lines(result)).to.deep.equal(['services.d/a.yaml  a pipe, a socket or a device; it is not read'])
    expect(result.applications.map(({ service }) => service.name)).to.deep.equal(['b'])
  })

  it('finds the same port twice, whoever claims it', () => {
    const result = check('outbound: { services: [{ service: orders, port: 15000 }] }\n')
    expect(lines(result)).to.deep.equal([
      'agent.yaml:1:1  admin.address: 127.0.0.1:15000 is taken by outbound.services[0].port; each listener needs its own',
    ])
  })

  it('finds ranges that overlap each other or a listener, on the same address only', () => {
    expect(lines(check('outbound: { portRange: 20000-21500, address: 10.0.0.5 }\n'))).to.deep.equal([
      'agent.yaml:1:1  inbound.portRange: overlaps outbound.portRange; each needs its own ports',
    ])
    expect(check('outbound: { portRange: 20000-21500 }\n').problems).to.deep.equal([])
    expect(lines(check('inbound: { portRange: 15000-15100 }\n'))[0]).to.contain('holds port 15020 of metrics.address')
  })

  it('warns, but accepts, when a range lies in the ephemeral ports of the kernel', () => {
    const result = check('outbound: { portRange: 40000-40099 }\n')
    expect(result.isValid).to.equal(true)
    expect(lines(result)[0]).to.contain("warning: outbound.portRange: port 40000 lies in the kernel's ephemeral range")
  })

  it('leaves out the second of two files that claim the same service and port, and names the first', () => {
    const result = check('', {
      'services.d/a.yaml': 'service: orders\nport: 8080\n',
      'services.d/b.yaml': '# twin\nservice: orders\nport: 8080\n',
      'services.d/c.yaml': 'service: orders\nport: 8081\n',
    })
    expect(result.applications.map((application) => application.port)).to.deep.equal([8080, 8081])
    expect(lines(result)).to.deep.equal([
      'services.d/b.yaml:2:1  service: the same service and port as services.d/a.yaml; this file is not used',
    ])
    expect(result.isValid).to.equal(false)
    expect(result.config).to.not.equal(undefined)
  })

  it('never shows a value under a name that smells of a secret', () => {
    const result = check(
      'registries: [{ name: main, type: nacos, servers: [10.0.0.2:8848], password: hunter2, passwordFile: [hunter2] }]\n',
    )
    expect(lines(result).join('\n')).to.not.contain('hunter2')
    expect(result.problems.map((problem) => problem.path)).to.include.members([
      'registries[0].password',
      'registries[0].passwordFile',
    ])
  })

  it('warns about networks of loopback that x-mesh-fallback may name, and about no other', () => {
    const result = check('fallbackNetworks: [10.0.0.0/8, 127.0.0.0/8, "::1", 0.0.0.0/0]\n')
    expect(result.isValid).to.equal(true)
    expect(lines(result)).to.have.length(2)
    expect(lines(result)[0]).to.match(/warning: fallbackNetworks\[1\]: 127.0.0.0\/8 lets every local caller reach/)
    expect(lines(result)[1]).to.match(/warning: fallbackNetworks\[2\]: ::1\/128 lets/)
  })

  it('warns about a password that other users can read', () => {
    writeFileSync(join(folder, 'password'), 'x', { mode: 0o644 })
    writeFileSync(join(folder, 'user'), 'x', { mode: 0o600 })
    const result = check(
      'registries: [{ name: main, type: nacos, servers: [10.0.0.2:8848], usernameFile: user, passwordFile: password }]\n',
    )
    expect(result.isValid).to.equal(true)
    expect(lines(result)).to.have.length(1)
    expect(lines(result)[0]).to.match(
      /warning: registries\[0\].passwordFile: .*password can be read by other users; chmod 600/,
    )
  })

  it("names what of a collector's files cannot hold together", () => {
    for (const name of ['ca', 'cert', 'key']) writeFileSync(join(folder, name), 'x', { mode: 0o600 })
    const of = (collector: string): string[] => lines(check(`tracing: { collector: { ${collector} } }\n`))
    expect(of('url: https://c:1, ca: ca, cert: cert, key: key')).to.deep.equal([])
    expect(of('url: https://c:1, cert: cert')[0]).to.match(
      /tracing.collector.cert: found without key, allowed both or none/,
    )
    expect(of('url: https://c:1, key: key')[0]).to.match(
      /tracing.collector.key: found without cert, allowed both or none/,
    )
    expect(of('url: http://c:1, ca: ca')[0]).to.match(/collector.ca: found beside http:.*, allowed with https only/)
    expect(of('url: https://c:1, ca: nothing')[0]).to.match(/collector.ca: nothing cannot be used: it does not exist/)
    chmodSync(join(folder, 'key'), 0o644)
    expect(of('url: https://c:1, cert: cert, key: key')[0]).to.match(/warning: tracing.collector.key: .*chmod 600/)
  })

  it('knows the settings of the filters that come with us', () => {
    const of = (filter: string): string[] => lines(check(`filters: [{ name: a, ${filter} }]\n`))
    writeFileSync(join(folder, 'users'), '', { mode: 0o644 })
    expect(of('builtin: basicAuth, settings: { file: users }')[0]).to.match(/warning: .*settings.file: .*chmod 600/)
    chmodSync(join(folder, 'users'), 0o600)
    expect(of('builtin: basicAuth, settings: { file: users }')).to.deep.equal([])
    expect(of('builtin: compression, settings: { encodings: [gzip], level: 6, minBytes: 2KiB }')).to.deep.equal([])
    expect(of('builtin: compression, settings: { level: 10 }')[0]).to.match(
      /filters\[0\].settings.level: found 10, allowed a whole number from 1 to 9/,
    )
    expect(of('builtin: bodyLimit, settings: { max: 5 }')[0]).to.match(/filters\[0\].settings.max: unknown key/)
    expect(of('builtin: basicAuth')[0]).to.match(/filters\[0\].settings.file: /)
    expect(of('builtin: gzip')[0]).to.match(
      /filters\[0\].builtin: found "gzip", allowed basicAuth, bodyLimit, compression/,
    )
    expect(of('deadline: 1s')[0]).to.match(/allowed exactly one of path and builtin/)
  })

  it('runs no filter that others may write, and none twice under one name', () => {
    const text = 'export default () => ({})'
    const of = (filters: string): string[] => lines(check(`filters: [${filters}]\n`, { 'a.mjs': text }))
    expect(of('{ name: a, path: a.mjs, settings: { teams: [blue] } }')).to.deep.equal([])
    expect(of('{ name: a, path: b.mjs }')[0]).to.match(/filters\[0\].path: b.mjs cannot be used: it does not exist/)
    expect(of('{ name: a, path: a.mjs }, { name: a, path: a.mjs }')[0]).to.match(
      /filters\[1\].name: "a" is already the name of filters\[0\]/,
    )
    expect(of('{ name: a, path: a.mjs, settings: [1] }')[0]).to.match(/settings: .*a map of plain values/)
    chmodSync(join(folder, 'a.mjs'), 0o666)
    expect(of('{ name: a, path: a.mjs }')[0]).to.match(/others may write to it \(mode 666\); chmod go-w it/)
    chmodSync(join(folder, 'a.mjs'), 0o644)
    chmodSync(folder, 0o777)
    expect(of('{ name: a, path: a.mjs }')[0]).to.match(/others may write to .* \(mode 777\)/)
  })

  it('says where YAML breaks, and that a missing file is missing', () => {
    expect(lines(check('host: {\n  zone: a\n'))[0]).to.match(/^agent.yaml:\d+:\d+ {2}broken YAML: /)
    expect(lines(check('host: {}\nhost: {}\n'))[0]).to.match(/^agent.yaml:2:1 {2}broken YAML: .*unique/)
    const missing = checkConfig(join(folder, 'nothing.yaml'), agentKind, { machine, kernelPorts })
    expect(missing.problems[0]?.message).to.equal('cannot be read: it does not exist (ENOENT)')
  })

  it('ends an alias bomb with an error', () => {
    const levels = Array.from({ length: 12 }, (_, index) =>
      index === 0 ? 'a0: &a0 [x, x]' : `a${index}: &a${index} [${`*a${index - 1}, `.repeat(9)}*a${index - 1}]`,
    )
    expect(lines(check(`${levels.join('\n')}\n`))[0]).to.contain('broken YAML')
  })

  it('keeps what only a center may have out of an agent', () => {
    expect(lines(check('relay: { allowedNetworks: [10.0.0.0/8] }\n'))[0]).to.contain('relay: unknown key')
    expect(lines(check('role: center\n'))[0]).to.contain('role: found "center", allowed agent')
  })

  it('refuses a secret of the relay that cannot be used, without showing it', () => {
    const file = join(folder, 'relay.secret')
    const found = (section: string): string => lines(check(section)).join('\n')
    const agent = `center: { addresses: [10.0.0.8:15443], secretFile: ${file} }\n`
    expect(found(agent)).to.contain('center.secretFile')
    writeFileSync(file, 'too-short\n', { mode: 0o600 })
    expect(found(agent)).to.contain('a secret of 9 characters').and.to.not.contain('too-short')
    writeFileSync(file, `${'s'.repeat(40)}\n`)
    expect(found(agent)).to.not.contain('secretFile')
    chmodSync(file, 0o644)
    expect(found(agent)).to.contain('others may read')
  })

  it('refuses a secret that the user of the agent may not read, and names that user', function () {
    if (process.getuid!() !== 0) this.skip()
    const file = join(folder, 'password')
    writeFileSync(file, 'p'.repeat(40), { mode: 0o600 })
    chmodSync(folder, 0o755)
    const registry = `{ name: a, type: nacos, servers: [10.0.0.2:8848], usernameFile: ${file}, passwordFile: ${file} }`
    const center = `{ addresses: [10.0.0.8:15443], secretFile: ${file} }`
    const found = (): string[] => lines(check(`registries: [${registry}]\ncenter: ${center}\n`))
    expect(found().join()).to.not.contain('File')
    chmodSync(join(folder, 'agent.yaml'), 0o666)
    process.seteuid!(65534)
    try {
      for (const key of ['registries[0].usernameFile', 'registries[0].passwordFile', 'center.secretFile'])
        expect(found().find((line) => line.includes(key))).to.contain(
          'permission denied (EACCES); user 65534 may not read it, it must belong to the user of the agent',
        )
    } finally {
      process.seteuid!(0)
    }
  })

  it('refuses an admin address that others could reach', () => {
    expect(lines(check('admin: { address: 0.0.0.0:15000 }\n'))[0]).to.contain('0.0.0.0 is no loopback address')
  })
})
