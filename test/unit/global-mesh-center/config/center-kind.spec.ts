import { expect } from 'chai'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkConfig, formatProblem, type CheckResult } from '../../../../agent/control/config/check.ts'
import { centerKind } from '../../../../global-mesh-center/config/center-kind.ts'

const machine = { hostName: 'center-1', defaultAddress: '10.0.0.8', processors: 2 }
const kernelPorts = { ephemeral: undefined, reserved: [] }
const relay = 'relay: { allowedNetworks: [10.0.0.0/8] }\n'

describe('the file of a center', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-center-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  function check(text: string): CheckResult {
    writeFileSync(join(folder, 'center.yaml'), `role: center\n${text}`)
    return checkConfig(join(folder, 'center.yaml'), centerKind, { machine, kernelPorts })
  }
  const lines = (text: string): string[] =>
    check(text).problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ''))

  it('gives a center its relay, its directories and no shared HTTP port', () => {
    const { config } = check(relay)
    expect(config?.servicesDir, 'not those of an agent beside it').to.equal(join(folder, 'center-services.d'))
    expect(config?.runDir).to.equal('/run/hostmesh-center')
    expect(config?.relay?.address).to.deep.equal({ host: '0.0.0.0', port: 15_443 })
    expect(config?.api?.address).to.deep.equal({ host: '127.0.0.1', port: 15_014 })
    expect(config?.outbound.http).to.equal('off')
  })

  it('is good as the example shows it', () => {
    const example = readFileSync(join(import.meta.dirname, '../../../../examples/center.yaml'), 'utf8')
    expect(lines(example.replace(/^role: center$/m, '')).filter((line) => line.includes('error'))).to.deep.equal([])
  })

  it('lets nobody in whose networks are not named, and says what a missing secret means', () => {
    expect(lines('')[0]).to.contain('relay.allowedNetworks: missing')
    expect(lines('relay: {}\n')[0]).to.contain('relay.allowedNetworks')
    const open = lines('relay: { allowedNetworks: [0.0.0.0/0] }\n').join('\n')
    expect(open).to.contain('relay.secretFile: missing').and.to.contain('relay.allowedNetworks: lets everybody in')
  })

  it('has no center of its own', () => {
    expect(lines(`${relay}center: { addresses: [10.0.0.9:15443] }\n`)[0]).to.contain('center: unknown key')
  })

  it('refuses a secret of the relay that cannot be used, without showing it', () => {
    const file = join(folder, 'relay.secret')
    const found = (): string => lines(`relay: { allowedNetworks: [10.0.0.0/8], secretFile: ${file} }\n`).join('\n')
    expect(found()).to.contain('relay.secretFile')
    writeFileSync(file, 'too-short\n', { mode: 0o600 })
    expect(found()).to.contain('a secret of 9 characters').and.to.not.contain('too-short')
    writeFileSync(file, `${'s'.repeat(40)}\n`)
    expect(found()).to.not.contain('secretFile')
    chmodSync(file, 0o644)
    expect(found()).to.contain('others may read')
  })

  it('lets nobody use the rules API by accident', () => {
    const found = (section: string): string => lines(`${relay}rulesApi: ${section}\n`).join('\n')
    expect(found('{}')).to.contain('rulesApi.tokensFile: missing; nobody could use it')
    expect(found('{ withoutToken: read }')).to.not.contain('rulesApi')
    const open = found('{ address: 10.0.0.8:15016, withoutToken: admin }')
    expect(open).to.contain('rulesApi.tls: missing').and.to.contain('rulesApi.withoutToken: found admin, allowed none')
    const file = join(folder, 'tokens')
    writeFileSync(file, `- { user: a, token: ${'t'.repeat(31)}, role: admin }\n`, { mode: 0o600 })
    expect(found(`{ tokensFile: ${file} }`))
      .to.contain('[0.token]')
      .and.to.not.contain('ttt')
    writeFileSync(file, `- { user: a, token: ${'t'.repeat(32)}, role: admin }\n`)
    expect(found(`{ tokensFile: ${file} }`)).to.not.contain('rulesApi')
    const clash = found('{ address: 127.0.0.1:15014, withoutToken: read }')
    expect(clash).to.contain('127.0.0.1:15014 is taken by api.address')
  })

  it('takes certificates at the port of discovery where it can check them, and then needs no tokens', () => {
    const found = (text: string): string => lines(`${relay}${text}`).join('\n')
    const plain = found('xds: { clientCertificates: true }\n')
    expect(plain).to.contain('xds.clientCertificates: needs ca').and.to.contain('needs xds.tls')
    expect(plain).to.not.contain('nobody could use it')
    expect(found('ca: {}\nxds: { clientCertificates: true, tls: { cert: a, key: b } }\n')).to.not.contain('needs')
    const file = join(folder, 'tokens')
    const login = (more: string): string => `- { user: a, token: ${'t'.repeat(32)}, ${more} }\n`
    for (const [more, isGood] of [
      ['role: read, identity: ns/shop/sa/gateway', true],
      ['role: read, identity: ns/shop/sa/*', false],
      ['role: host, identity: ns/shop/sa/gateway', false],
    ] as const) {
      writeFileSync(file, login(more), { mode: 0o600 })
      const said = found(`xds: { tokensFile: ${file} }\n`)
      if (isGood) expect(said).to.not.contain('tokens')
      else expect(said, more).to.contain('[0.identity]: allowed ns/NAMESPACE/sa/ACCOUNT, for the role read')
    }
  })

  it('knows the store, and what belongs together for etcd', () => {
    expect(check(relay).config).to.have.deep.property('store', {
      type: 'files',
      directory: '/var/lib/hostmesh-center/store',
    })
    const etcd = lines(`${relay}store: { type: etcd, servers: [10.0.0.2:2379], usernameFile: user }\n`).join('\n')
    expect(etcd).to.contain('usernameFile and passwordFile belong together').and.to.contain('store.usernameFile')
  })

  it('knows the store in Nacos, whose documents nobody reaches through an agent', () => {
    const nacos = (more: string) => `${relay}store: { type: nacos, servers: ['10.0.0.2:8848']${more} }\n`
    expect(check(nacos('')).config)
      .to.have.property('store')
      .that.includes({
        namespace: 'public',
        group: 'HOSTMESH_CENTER',
        prefix: 'hostmesh.center',
      })
    expect(lines(nacos(', usernameFile: user')).join('\n'))
      .to.contain('usernameFile and passwordFile belong together')
      .and.to.contain('store.usernameFile')
    expect(lines(nacos(', prefix: center')).join('\n'))
      .to.contain('store.prefix')
      .and.to.contain('hostmesh.')
    expect(lines(nacos(', cluster: A')).join('\n')).to.contain('store.cluster')
  })
})
