import { expect } from 'chai'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readRelayIdentity } from '../../../../contracts/relay-identity.ts'
import type { RelayTargets } from '../../../../contracts/relay-targets.ts'
import type { Endpoint } from '../../../../contracts/endpoint.ts'
import { Authority } from '../../../support/tls/authority.ts'
import { workload } from '../../../support/tls/secure-sockets.ts'
import { openBench, type Bench } from './support/control-bench.ts'
import { endpoint } from './support/fake-registry.ts'

const named = (name: string) => ({ namespace: 'public', group: 'DEFAULT_GROUP', name })

describe('what control writes for a relay that must keep TLS', () => {
  let bench: Bench
  afterEach(async () => bench.close())

  async function open(center: object): Promise<void> {
    bench = await openBench({
      outbound: { services: [{ service: 'orders' }, { service: 'ledger', protocol: 'tcp' }] },
      center: { addresses: ['10.0.0.8:15443'], ...center },
    })
    bench.control.setLeading(true)
  }

  const strict: Partial<Endpoint> = { metadata: { 'hostmesh.inbound': 'true', 'hostmesh.mtls': 'strict' } }

  function tell(ledger: Partial<Endpoint> = {}): void {
    bench.registry.say(named('orders'), [endpoint('10.0.0.9:80')])
    bench.registry.say(named('ledger'), [endpoint('10.0.0.9:81'), endpoint('10.0.0.9:82', ledger)])
  }

  function rule(spec: object): void {
    const [metadata, kind] = [{ name: 'ledger', namespace: 'public' }, 'DestinationRule']
    bench.writeFile('rules.d/ledger.yaml', {
      apiVersion: 'networking.istio.io/v1',
      kind,
      metadata,
      spec: { host: 'ledger', ...spec },
    })
    bench.control.reload()
  }

  /** By listener: whether the center may be used, and the endpoints of the direct tier. */
  async function written(): Promise<
    Record<string, { center: boolean; direct: boolean; endpoints: readonly string[] }>
  > {
    await bench.end()
    const text = readFileSync(join(bench.folder, 'state', 'relay-targets.json'), 'utf8')
    const { listeners } = (JSON.parse(text) as { body: RelayTargets }).body
    const rows = Object.entries(listeners).map(([name, { center, direct, endpoints }]) => {
      return [name.split('@@').at(-1)!, { center, direct, endpoints }] as const
    })
    return Object.fromEntries(rows)
  }

  it('uses a plain center and every endpoint while nothing wants TLS', async () => {
    await open({})
    tell()
    const { ledger, orders, 'outbound-http': shared } = await written()
    expect([ledger!.center, orders!.center, shared!.center]).to.deep.equal([true, true, true])
    expect(ledger!.endpoints).to.deep.equal(['10.0.0.9:81', '10.0.0.9:82'])
  })

  const mutual = { tls: { mode: 'ISTIO_MUTUAL' } }
  const wishes: [string, Partial<Endpoint>, object | undefined, string[]][] = [
    ['an endpoint that takes mutual TLS alone', strict, undefined, ['10.0.0.9:81']],
    ['a rule that wants it', {}, { trafficPolicy: mutual }, []],
    ['a rule that wants it for a subset', {}, { subsets: [{ name: 'v2', labels: {}, trafficPolicy: mutual }] }, []],
    [
      'a rule that wants it for a port',
      {},
      { trafficPolicy: { portLevelSettings: [{ port: { number: 82 }, ...mutual }] } },
      [],
    ],
  ]
  for (const [what, change, spec, direct] of wishes) {
    it(`for ${what} uses no center in plain, also not by the shared port; one in mutual TLS it does`, async () => {
      await open({})
      tell(change)
      if (spec !== undefined) rule(spec)
      const plain = await written()
      expect([plain['ledger']!.center, plain['orders']!.center, plain['outbound-http']!.center]).to.deep.equal([
        false,
        true,
        false,
      ])
      expect(plain['ledger']!.direct ? plain['ledger']!.endpoints : []).to.deep.equal(direct)
      await bench.close()

      await open({ mtls: true })
      tell(change)
      if (spec !== undefined) rule(spec)
      const secure = await written()
      expect([secure['ledger']!.center, secure['outbound-http']!.center]).to.deep.equal([true, true])
      expect(secure['ledger']!.direct ? secure['ledger']!.endpoints : []).to.deep.equal(direct)
    })
  }

  const identityFile = () => join(bench.folder, 'state', 'relay-identity.json')

  it('keeps the certificate of the host for the watchdog, for nobody else to read, and only where it is wanted', async () => {
    const authority = new Authority()
    const own = workload(authority, authority.leaf('spiffe://mesh.test/host/a'), 'spiffe://mesh.test/host/a')
    const other = workload(authority, authority.leaf(), 'spiffe://mesh.test/ns/default/sa/app')
    await open({ mtls: true })
    bench.control.core.certificates.replaceSource('test', [own, other])
    await bench.end()
    expect(readRelayIdentity(readFileSync(identityFile(), 'utf8'))).to.deep.equal(own)
    expect(statSync(identityFile()).mode & 0o777).to.equal(0o600)
    await bench.close()

    await open({})
    bench.control.core.certificates.replaceSource('test', [own, other])
    await bench.end()
    expect(readFileSync(identityFile(), 'utf8')).to.not.include('PRIVATE KEY')
  })
})
