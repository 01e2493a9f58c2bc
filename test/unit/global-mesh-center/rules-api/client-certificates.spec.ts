import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { checkConfig } from '../../../../agent/control/config/check.ts'
import type { PartDeps } from '../../../../agent/control/leading-part.ts'
import { systemClock } from '../../../../contracts/clock.ts'
import { centerKind } from '../../../../global-mesh-center/config/center-kind.ts'
import type { CenterConfig } from '../../../../global-mesh-center/config/types.ts'
import { RulesPart } from '../../../../global-mesh-center/rules-api/rules-part.ts'
import { rulesPath, virtualService } from '../../../support/center/api-bench.ts'
import { freePort } from '../../../support/free-port.ts'
import { Authority, type Issued } from '../../../support/tls/authority.ts'

const run = promisify(execFile)
const machine = { hostName: 'center-1', defaultAddress: '10.0.0.8', processors: 2 }
const kernelPorts = { ephemeral: undefined, reserved: [] }
const log = { debug() {}, info() {}, warn() {}, error() {} }
const token = 't'.repeat(40)

describe('clients with certificates at the rules API of a center', () => {
  const servers = new Authority('servers')
  const operators = new Authority('operators')
  const strangers = new Authority('strangers')
  const client = (subject: string): Issued => operators.leaf('', { uris: [], subject })
  let folder: string
  let port: number
  let part: RulesPart
  let ahead: number

  const put = (name: string, text: string, mode = 0o644): string => {
    const file = join(folder, name)
    writeFileSync(file, text, { mode })
    return file
  }
  /** What is wrong with a center whose section `rulesApi` says this. */
  function checked(rulesApi: string) {
    const text = `role: center\nrelay: { allowedNetworks: [10.0.0.0/8] }\nstateDir: ${folder}\nrulesApi: ${rulesApi}\n`
    return checkConfig(put('center.yaml', text), centerKind, { machine, kernelPorts })
  }
  const section = (more: string): string =>
    `{ address: '127.0.0.1:${port}', tls: { cert: server.crt, key: server.key${more} }, tokensFile: logins }`

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-client-certificates-'))
    ahead = 0
    const server = servers.leaf('', { uris: [], dns: ['center.test'] })
    put('server.crt', server.certificate)
    put('server.key', server.key, 0o600)
    put('operators.pem', operators.certificate)
    put('empty.pem', 'nothing\n')
    const logins = [
      { user: 'root', certificate: 'alice', role: 'admin' },
      { user: 'shop-ci', certificate: 'ci.shop', role: 'write', namespaces: ['shop'] },
      { user: 'dashboard', token, role: 'read' },
    ]
    put('logins', JSON.stringify(logins), 0o600)
    port = await freePort()
    const { config, problems } = checked(section(', clientCa: operators.pem'))
    expect(problems.filter(({ path }) => path.startsWith('rulesApi'))).to.deep.equal([])
    const control = {
      core: { replaceRules() {} },
      deps: { rules: { version: 0, statuses: () => [] } },
      timeline: { add() {} },
    }
    const clock = { ...systemClock, wall: () => Date.now() + ahead }
    const metrics = { count() {}, gauge() {} }
    const deps = { config, control, clock, random: () => 0.5, log, metrics }
    part = new RulesPart(deps as unknown as PartDeps<CenterConfig>, '1.2.3', () => {})
    await part.open()
    while ((await ask(client('alice'))).status === 503);
  })
  after(async () => {
    await part?.close()
    rmSync(folder, { recursive: true, force: true })
  })
  afterEach(() => {
    ahead = 0
  })

  function ask(
    { certificate: cert, key }: Partial<Issued>,
    { method = 'GET', path = rulesPath, headers = {}, body = '' } = {},
  ): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const own = cert === undefined ? {} : { cert, key }
      const to = { host: '127.0.0.1', port, servername: 'center.test', ca: servers.certificate, agent: false }
      const sent = request({ ...to, ...own, method, path, headers }, (reply) => {
        let text = ''
        reply.setEncoding('utf8').on('data', (piece: string) => (text += piece))
        reply.on('end', () => resolve({ status: reply.statusCode!, text }))
      })
      sent.on('error', reject).end(body)
    })
  }
  const create = (who: Partial<Issued>, namespace: string, name: string): ReturnType<typeof ask> =>
    ask(who, {
      method: 'POST',
      path: rulesPath.replace('/shop/', `/${namespace}/`),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(virtualService(name)),
    })

  it('may do what the file says of the common name', async () => {
    expect((await create(client('alice'), 'other', 'one')).status).to.equal(201)
    expect((await create(client('ci.shop'), 'shop', 'two')).status).to.equal(201)
    expect((await create(client('ci.shop'), 'other', 'three')).status).to.equal(403)
  })

  it('are those of an unmodified kubectl, too', async function () {
    this.timeout(60_000)
    const alice = client('alice')
    const stranger = strangers.leaf('', { uris: [], subject: 'alice' })
    for (const [name, { certificate, key }] of Object.entries({ alice, stranger })) {
      put(`${name}.crt`, certificate)
      put(`${name}.key`, key, 0o600)
    }
    put('servers.pem', servers.certificate)
    put('rule.yaml', JSON.stringify({ ...virtualService('kubectl'), metadata: { name: 'kubectl', namespace: 'shop' } }))
    const kubectl = (who: string, ...words: string[]): Promise<string> =>
      run('kubectl', [
        '--kubeconfig=/dev/null',
        `--cache-dir=${folder}/cache-${who}`,
        `--server=https://127.0.0.1:${port}`,
        '--tls-server-name=center.test',
        `--certificate-authority=${folder}/servers.pem`,
        `--client-certificate=${folder}/${who}.crt`,
        `--client-key=${folder}/${who}.key`,
        ...words,
      ]).then(
        ({ stdout }) => stdout,
        (error: { stderr: string; message: string }) => error.stderr || error.message,
      )
    await run('kubectl', ['version', '--client']).catch(() => {
      console.log('skipped: kubectl is not installed (Debian: kubernetes-client)')
      this.skip()
    })
    expect(await kubectl('alice', 'apply', '-f', join(folder, 'rule.yaml'))).to.contain('kubectl created')
    expect(await kubectl('alice', 'get', 'vs', '-n', 'shop', '-o', 'name')).to.contain('/kubectl')
    expect(await kubectl('stranger', 'get', 'vs', '-n', 'shop')).to.match(/Unauthorized|must be logged in/)
    expect(await kubectl('alice', 'delete', '-f', join(folder, 'rule.yaml'))).to.contain('deleted')
  })

  it('are let in with a token as before, with or without a certificate', async () => {
    const headers = { authorization: `Bearer ${token}` }
    expect((await ask({}, { headers })).status).to.equal(200)
    // the token decides, which may only read
    expect((await ask(client('alice'), { headers, method: 'DELETE', path: `${rulesPath}/x` })).status).to.equal(403)
  })

  it('are refused with a name that the file has not, of another authority, and with none', async () => {
    const unknown = await ask(client('mallory'))
    expect([unknown.status, unknown.text]).to.satisfy(
      ([status, text]: [number, string]) => status === 401 && text.includes('mallory'),
    )
    for (const who of [strangers.leaf('', { uris: [], subject: 'alice' }), {}]) {
      const answer = await ask(who)
      expect(answer.status).to.equal(401)
      expect(answer.text).to.include('a certificate of clientCa that is valid')
    }
  })

  it('are refused when the certificate is over, also on a connection from before', async () => {
    expect((await ask(operators.leaf('', { uris: [], subject: 'alice', to: -1000 }))).status).to.equal(401)
    // its hour is over in the middle of the connection
    ahead = 2 * 3_600_000
    expect((await ask(client('alice'))).status).to.equal(401)
  })

  it('do nothing for a web page in the browser of whoever has the certificate', async () => {
    const answer = await ask(client('alice'), { headers: { origin: 'https://evil.test' } })
    expect(answer.status).to.equal(403)
    expect(answer.text).to.include('web pages')
  })

  it('are looked at before the center starts: who signs them, and who they are', () => {
    const found = (more: string): string =>
      checked(section(more))
        .problems.map(({ path, message }) => `${path}: ${message}`)
        .join('\n')
    expect(found('')).to.include(
      'rulesApi.tokensFile: root is known by a certificate, which needs rulesApi.tls.clientCa',
    )
    expect(found(', clientCa: empty.pem')).to.match(/rulesApi\.tls\.clientCa: .*empty\.pem holds no certificate in PEM/)
    expect(found(', clientCa: none.pem')).to.include('rulesApi.tls.clientCa')
    expect(found(', clientCa: operators.pem')).to.not.include('rulesApi')
  })
})
