import { X509Certificate } from 'node:crypto'
import { expect } from 'chai'
import { CenterSource, type CenterSourceDeps } from '../../../../../../agent/control/host/identities/center-source.ts'
import { keyAndRequest } from '../../../../../../agent/control/host/identities/signing-request.ts'
import type { HostPort } from '../../../../../../agent/control/config/scalars.ts'
import type { KeptIdentities } from '../../../../../../agent/control/host/identities/kept-identities.ts'
import { ControlMetrics } from '../../../../../../agent/control/observe.ts'
import type { CaIssued } from '../../../../../../contracts/ca-api.ts'
import { MeshError } from '../../../../../../contracts/errors.ts'
import type { WorkloadCertificates } from '../../../../../../contracts/workload-certificate.ts'
import { openBox } from '../../../../../../global-mesh-center/ca/key-box.ts'
import { MadeAuthority } from '../../../../../../global-mesh-center/ca/made-authority.ts'
import { readSigningRequest } from '../../../../../../global-mesh-center/ca/x509/signing-request.ts'
import { memoryDocuments } from '../../../../../support/ca/memory-documents.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'
import { manualClock } from '../../../../../support/manual-clock.ts'

const hour = 3_600_000
const day = 24 * hour
const host = 'spiffe://mesh.test/host/web-1'
const orders = 'spiffe://mesh.test/ns/default/sa/orders'
const ledger = 'spiffe://mesh.test/ns/default/sa/ledger'

/** A host with its own certificate, and an authority that answers, or fails as the test says. */
async function bench(kept?: KeptIdentities) {
  const clock = manualClock()
  const caClock = { wall: () => clock.wall() + skew.ms }
  const skew = { ms: 0 }
  const lifetimes = { rootMs: 3650 * day, intermediateMs: 365 * day, spreadMs: 0, overlapMs: 2 * day }
  const deps = { documents: memoryDocuments(), box: openBox, clock: caClock, trustDomain: 'mesh.test', lifetimes }
  const authority = await MadeAuthority.open(deps)
  const issue = (request: string): CaIssued => {
    const { publicKey, uris } = readSigningRequest(request)
    const leaf = authority.issue({ publicKey, uri: uris[0]!, lifetimeMs: day })
    return { id: uris[0]!, ...leaf, trustBundle: authority.trustBundle, trustDomain: 'mesh.test' }
  }
  const failing = { error: undefined as MeshError | undefined }
  const asked: string[] = []
  let underWay = 0
  const told: WorkloadCertificates[] = []
  const lines: string[] = []
  const metrics = new ControlMetrics()
  const write = (_facts: object, message: string) => void lines.push(message)
  const left = { joined: undefined as KeptIdentities | undefined, kept: 0 }
  const sourceDeps: CenterSourceDeps = {
    clock,
    random: () => 0.5,
    log: { debug: () => undefined, info: write, warn: write, error: write },
    metrics,
    timeline: { turn: () => undefined },
    client: {
      keyAndRequest: (uri) => {
        underWay++
        return keyAndRequest(uri).finally(() => underWay--)
      },
      async certify(_address, _trust, _own, request) {
        const id = readSigningRequest(request).uris[0]!
        asked.push(id)
        if (failing.error !== undefined) throw failing.error
        return issue(request)
      },
      async newestTrust(_address, trust) {
        if (failing.error !== undefined) throw failing.error
        return { ...trust, trustBundle: authority.trustBundle }
      },
    },
    settings: () => ({ authorities: [{ host: '10.0.0.8', port: 15_012 }], refreshMs: 300_000 }),
    onCertificates: (certificates) => void told.push(certificates),
    onKept: () => void left.kept++,
    joined: () => {
      const { joined } = left
      left.joined = undefined
      return joined
    },
  }
  async function joined(): Promise<KeptIdentities> {
    const { key, request } = await keyAndRequest(host)
    const { chain, trustBundle, trustDomain, id } = issue(request)
    return { trustDomain, trustBundle, certificates: [{ id, chain, key }] }
  }
  const source = new CenterSource(sourceDeps, kept ?? (await joined()))
  const held = (id: string) => told.at(-1)?.find((one) => one.id === id)
  const late = (id: string) =>
    metrics
      .series()
      .find(({ name }) => name === 'hostmesh_certificate_late')
      ?.samples.find(({ labels }) => labels[0] === id)?.value
  /** Keys are made by another thread, which may have to wait for its turn while the clock of the test goes on. */
  const answered = async () => {
    do await new Promise((resolve) => setImmediate(resolve))
    while (underWay > 0)
  }
  /** Lets every request that is due be answered. */
  const settle = async () => {
    clock.advance(1000)
    await new Promise((resolve) => setImmediate(resolve))
    await eventually(() => source.view().every((row) => row.state !== 'none' || row.problem !== undefined))
  }
  return {
    clock,
    skew,
    authority,
    source,
    sourceDeps,
    failing,
    asked,
    told,
    lines,
    left,
    held,
    late,
    settle,
    answered,
    joined,
  }
}

describe('the certificates of a host from its center', () => {
  it('come for each name once the host leads, keys of our own, the host`s own first', async () => {
    const { source, held, told, left } = await bench()
    source.want([orders, ledger])
    expect(told.at(-1)!.map(({ id }) => id)).to.deep.equal([host])
    source.setLeading(true)
    await eventually(() => held(orders) !== undefined && held(ledger) !== undefined)
    expect(told.at(-1)![0]!.id).to.equal(host)
    const { chain, key } = held(orders)!
    expect(new X509Certificate(chain).subjectAltName).to.equal(`URI:${orders}`)
    expect(key).to.not.equal(held(ledger)!.key)
    expect(left.kept).to.equal(2)
    expect(source.kept()!.certificates.map(({ id }) => id)).to.have.members([host, orders, ledger])
    source.close()
  })

  it('are renewed at half their life, with a new key, before anybody asks for it', async () => {
    const { source, held, clock, asked } = await bench()
    source.want([orders])
    source.setLeading(true)
    await eventually(() => held(orders) !== undefined)
    const first = held(orders)!
    clock.advance(11 * hour)
    expect(asked.filter((id) => id === orders)).to.have.length(1)
    clock.advance(hour + 1000)
    await eventually(() => held(orders)!.chain !== first.chain)
    expect(held(orders)!.key).to.not.equal(first.key)
    expect(held(orders)!.notAfter).to.be.greaterThan(first.notAfter)
    source.close()
  })

  it('serve on while the authority is gone for a day; the alarm comes at a quarter, and goes', async () => {
    const { source, held, clock, failing, late, lines, asked } = await bench()
    source.want([orders])
    source.setLeading(true)
    await eventually(() => held(orders) !== undefined)
    const first = held(orders)!
    failing.error = new MeshError('E_CA_UNREACHABLE', '10.0.0.8:15012: the authority does not answer')
    for (let minutes = 0; minutes < 17 * 60; minutes++) {
      clock.advance(60_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(held(orders)).to.equal(first)
    expect(late(orders)).to.equal(0)
    const before = asked.length
    for (let minutes = 0; minutes < 7 * 60; minutes++) {
      clock.advance(60_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(held(orders)!.chain).to.equal(first.chain)
    expect(late(orders)).to.equal(1)
    expect(source.view().find(({ id }) => id === orders)).to.include({ state: 'ended' })
    expect(lines.filter((line) => /^certificate of .*orders: it ends at/.test(line))).to.have.length(1)
    // pauses have grown to five minutes: no storm, and no silence
    expect(asked.length - before).to.be.within(20, 2 * 7 * 25)
    failing.error = undefined
    clock.advance(300_000)
    await eventually(() => held(orders)!.chain !== first.chain)
    clock.advance(1000)
    expect(late(orders)).to.equal(0)
    source.close()
  })

  it('are asked for at once after the clock jumped ahead, and then not every second', async () => {
    const { source, held, clock, skew, asked, answered } = await bench()
    source.want([orders])
    source.setLeading(true)
    await eventually(() => held(orders) !== undefined)
    const first = held(orders)!
    // the authority's clock does not jump with ours
    clock.jump(30 * day)
    skew.ms = -30 * day
    const before = asked.length
    for (let seconds = 0; seconds < 600; seconds++) {
      clock.advance(1000)
      await answered()
    }
    expect(held(orders)!.chain).to.not.equal(first.chain)
    expect(asked.length - before).to.be.within(4, 30)
    expect(source.view().find(({ id }) => id === orders)!.problem).to.include('clock of this host is ahead')
    source.close()
  })

  it('say nothing of a clock any more that was put right', async () => {
    const { source, held, clock, skew, asked } = await bench()
    source.want([orders])
    source.setLeading(true)
    await eventually(() => held(orders) !== undefined)
    const problem = (): string | undefined => source.view().find(({ id }) => id === orders)!.problem
    clock.jump(30 * day)
    skew.ms = -30 * day
    clock.advance(1000)
    await eventually(() => problem() !== undefined)
    const before = asked.length
    clock.jump(-30 * day)
    skew.ms = 0
    clock.advance(1000)
    expect(problem()).to.equal(undefined)
    expect(asked).to.have.length(before)
    source.close()
  })

  it('take up a new root when the bundle has it, without a renewal', async () => {
    const { source, held, clock, authority, asked } = await bench()
    source.want([orders])
    source.setLeading(true)
    await eventually(() => held(orders) !== undefined)
    const { chain } = held(orders)!
    await authority.rotate()
    clock.advance(400_000)
    await eventually(() => held(orders)!.trustBundle === authority.trustBundle)
    expect(held(orders)!.chain).to.equal(chain)
    expect(asked.filter((id) => id === orders)).to.have.length(1)
    source.close()
  })

  it('are there at the start of the next generation, which asks for nothing before it leads', async () => {
    const one = await bench()
    one.source.want([orders])
    one.source.setLeading(true)
    await eventually(() => one.held(orders) !== undefined)
    one.source.close()
    const two = await bench(one.source.kept())
    two.source.want([orders])
    two.clock.advance(60_000)
    expect(two.held(orders)!.chain).to.equal(one.held(orders)!.chain)
    expect(two.asked).to.deep.equal([])
    two.source.close()
  })

  it('of an application that is gone are handed to nobody and kept nowhere', async () => {
    const { source, held, told, left } = await bench()
    source.want([orders, ledger])
    source.setLeading(true)
    await eventually(() => held(orders) !== undefined && held(ledger) !== undefined)
    const before = left.kept
    source.want([orders])
    expect(told.at(-1)!.map(({ id }) => id)).to.deep.equal([host, orders])
    expect(left.kept).to.equal(before + 1)
    expect(source.kept()!.certificates.map(({ id }) => id)).to.deep.equal([host, orders])
    source.close()
  })

  it('that are not ours are not taken: another name, another key, another trust domain', async () => {
    const { source, held, sourceDeps, clock } = await bench()
    const { certify } = sourceDeps.client
    const wrongs: ((issued: CaIssued) => Promise<CaIssued> | CaIssued)[] = [
      (issued) => ({ ...issued, id: ledger }),
      (issued) => ({ ...issued, trustDomain: 'other.test' }),
      async (issued) => ({
        ...issued,
        chain: (await certify(...lastCall!, (await keyAndRequest(orders)).request)).chain,
      }),
    ]
    let lastCall: Parameters<typeof certify> extends [...infer Rest, string] ? Rest : never
    for (const wrong of wrongs) {
      sourceDeps.client.certify = async (...words) => {
        lastCall = words.slice(0, 3) as typeof lastCall
        return wrong(await certify(...words))
      }
      source.want([])
      source.want([orders])
      source.setLeading(true)
      await eventually(() => source.view().some(({ problem }) => problem !== undefined))
      expect(held(orders)).to.equal(undefined)
      clock.advance(300_000)
    }
    source.close()
  })

  it('come from another center where one refuses them: it is asked at the next try', async () => {
    const { source, sourceDeps, held, clock, answered } = await bench()
    const [refusing, other] = ['10.0.0.8', '10.0.0.9'].map((address) => ({ host: address, port: 15_012 })) as [
      HostPort,
      HostPort,
    ]
    const { certify } = sourceDeps.client
    const asked: string[] = []
    sourceDeps.client.certify = async (address, ...words) => {
      asked.push(address.host)
      if (address === refusing) throw new MeshError('E_CA_REFUSED', 'not granted to host web-1')
      return certify(address, ...words)
    }
    Object.assign(sourceDeps, { settings: () => ({ authorities: [refusing, other], refreshMs: 300_000 }) })
    source.want([orders])
    source.setLeading(true)
    await eventually(() => source.view().some(({ problem }) => problem?.includes('not granted') === true))
    expect(asked).to.deep.equal([refusing.host])
    clock.advance(2000)
    await answered()
    await eventually(() => held(orders) !== undefined)
    expect(asked).to.deep.equal([refusing.host, other.host])
    source.close()
  })

  it('of a host that joins while its agent runs are taken up', async () => {
    const { source, told, left, joined, clock } = await bench()
    source.setLeading(true)
    const first = told.length
    left.joined = await joined()
    clock.advance(1000)
    expect(told.length).to.be.greaterThan(first)
    expect(told.at(-1)![0]!.chain).to.equal(source.kept()!.certificates[0]!.chain)
    source.close()
  })
})
