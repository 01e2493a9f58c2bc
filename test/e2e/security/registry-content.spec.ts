/**
 * A registry in which somebody hostile may write: rule documents and addresses that are meant to hurt the hosts which
 * read them. The attacker is another user of the host, without any right there, who can reach the registry.
 */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { startEmbeddedRegistry, type EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { Mesh, until, type DemoHost } from '../../support/mesh/mesh.ts'
import { askAs } from '../../support/security/other-user.ts'

/** nobody, where one user may start processes of another. */
const attacker = process.getuid!() === 0 ? 65_534 : process.getuid!()

describe('a host and what a registry tells it', function () {
  this.timeout(120_000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let host: DemoHost

  before(async () => {
    registry = await startEmbeddedRegistry({ mergeWindowMs: 50 })
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address], rulesGroup: 'RULES' }])
    host = await mesh.startedHost('alpha')
  })
  after(async () => {
    await mesh?.close()
    await registry?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function publish(content: string): Promise<void> {
    const body = new URLSearchParams({ dataId: 'hostmesh.mesh', group: 'RULES', content }).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const [reply] = await askAs(attacker, [{ at: registry.address, line: 'POST /nacos/v1/cs/configs', headers, body }])
    expect(reply!.text).to.equal('true')
  }
  const rules = async (): Promise<string> => (await host.admin.get('/rules')).text
  /** Of control's loop so far, ms: on a busy machine the time on the clock is mostly other processes' turns. */
  const processorMs = (pid: number): number =>
    Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6

  it('answers on while a document is read that is made to hold its reader up, and refuses it', async () => {
    const hostile = {
      'as many keys as 69 KB hold': Array.from({ length: 9900 }, (_, index) => `k${index}: v\n`).join(''),
      'the same, beyond the bound': Array.from({ length: 40_000 }, (_, index) => `${index.toString(36)}:\n`).join(''),
      'lists in lists': `a: ${'['.repeat(6000)}${']'.repeat(6000)}\n`,
      'maps in a flow': `a: [${'{a: 1},'.repeat(6000)}]\n`,
      'an anchor bomb': `a: &a [x, x]\n${Array.from({ length: 90 }, (_, index) => `b${index}: [*a, *a]\n`).join('')}`,
    }
    const { generations } = await host.watchdogState()
    const { pid } = generations.flatMap(({ children }) => children).find(({ role }) => role === 'control')!
    for (const [what, content] of Object.entries(hostile)) {
      const before = await rules()
      await publish(content)
      let longest = 0
      await until(20_000, `${what}: refused`, async () => {
        const asked = processorMs(pid)
        const now = await rules()
        longest = Math.max(longest, processorMs(pid) - asked)
        return now !== before && /rejected/.test(now)
      })
      expect(longest, `${what}: ms that control was busy until one answer`).to.be.lessThan(1000)
    }
    expect(host.lastLines(200).join('\n')).to.not.match(/died: signal|is started again/)
  })

  it('dials no metadata service of a cloud, nor any other forbidden address, in whatever spelling an entry names it', async () => {
    const addresses = [
      '169.254.169.254',
      '::ffff:169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      'fd00:ec2::254',
      '100.100.100.200',
    ]
    const entry = (index: number): string =>
      JSON.stringify({
        apiVersion: 'networking.istio.io/v1',
        kind: 'ServiceEntry',
        metadata: { name: `entry-${index}` },
        spec: {
          hosts: [`entry-${index}.example`],
          ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
          resolution: 'STATIC',
          endpoints: [{ address: addresses[index] }],
        },
      })
    await publish(addresses.map((_, index) => `${entry(index)}\n`).join('---\n'))
    await until(30_000, 'the entries are in force', async () => /entry-4/.test(await rules()))
    const at = `${host.options.address}:15001`
    const calls = addresses.map((_, index) => ({ at, line: 'GET /', headers: { host: `entry-${index}.example` } }))
    for (const [index, { status, text }] of (await askAs(attacker, calls)).entries()) {
      expect(status, addresses[index]).to.equal(503)
      expect(text, addresses[index]).to.match(/^E_(BALANCE_NO_ENDPOINT|ROUTE_UNKNOWN_SERVICE) /)
    }
    expect((await host.admin.get('/stats?filter=endpoints_refused')).text).to.match(/: [1-9]/)
  })
})
