import { expect } from 'chai'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { EndpointSet, ServiceKey } from '../../../../../../contracts/endpoint.ts'
import { encodeFrame } from '../../../../../../contracts/frame.ts'
import { defaultTrafficPolicy } from '../../../../../../contracts/policy-spec.ts'
import { defaultLimits, type MeshSpec, type NodeSpec } from '../../../../../../contracts/snapshot.ts'
import type { WorkloadCertificates } from '../../../../../../contracts/workload-certificate.ts'
import { systemClock } from '../../../../../../agent/control/clock.ts'
import { Publisher, maxQueuedBytes } from '../../../../../../agent/control/core/snapshot/publisher.ts'
import { SnapshotStore } from '../../../../../../agent/control/core/snapshot/store.ts'
import { endpoint, recordingLog, recordingMetrics } from '../../support/fake-registry.ts'
import { FakeWorker } from '../../../../../support/control/fake-worker.ts'

const node: NodeSpec = { host: 'h', address: '10.0.0.5', locality: { region: '', zone: '' }, tier: 'agent' }
const mesh: MeshSpec = {
  limits: defaultLimits,
  accessLog: { format: 'off', path: '-', share: 1 },
  fallbackNetworks: [],
  sourceAppsByUid: {},
  tracing: { createMissing: true, sampledShare: 0 },
}
const keyOf = (index: number): ServiceKey => `public/DEFAULT_GROUP@@s${index}`

function setOf(index: number, version: number, count = 10): EndpointSet {
  return {
    service: keyOf(index),
    version,
    endpoints: Array.from({ length: count }, (_, at) => endpoint(`10.${index >> 8}.${index & 255}.${at}:80`)),
    protectThreshold: 0,
    registry: 'main',
    confirmedAt: version,
  }
}

/** Without fields that are undefined. */
const asSent = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('the publisher', () => {
  let folder: string
  let store: SnapshotStore
  let publisher: Publisher
  let certificates: WorkloadCertificates
  const metrics = recordingMetrics()
  const log = recordingLog()
  const workers: FakeWorker[] = []

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-publisher-'))
    certificates = []
    store = new SnapshotStore(0, node, mesh, () => undefined)
    publisher = new Publisher({
      path: join(folder, 'control-1.sock'),
      generation: 1,
      clock: systemClock,
      log,
      metrics,
      snapshot: () => store.whole(0),
      certificates: () => certificates,
      credentials: () => [],
      onSeenVersion: (version) => store.raiseVersion(version),
      onNeed: () => undefined,
      onUsed: () => undefined,
      onRefusedApplication: () => undefined,
      onTroubles: () => undefined,
      onWorkers: () => undefined,
    })
    await publisher.listen()
  })
  afterEach(async () => {
    for (const worker of workers.splice(0)) worker.close()
    await publisher.close()
    rmSync(folder, { recursive: true, force: true })
  })

  function fill(services: number, endpoints = 10): void {
    for (let index = 0; index < services; index++) {
      store.setService(keyOf(index), {
        key: keyOf(index),
        protocol: 'http',
        policy: defaultTrafficPolicy,
        subsets: {},
        portPolicies: {},
        endpoints: setOf(index, 1, endpoints),
      })
    }
    store.take()
  }

  function dial(hello: ConstructorParameters<typeof FakeWorker>[1] = {}): FakeWorker {
    const worker = new FakeWorker(join(folder, 'control-1.sock'), hello)
    workers.push(worker)
    return worker
  }

  function change(index: number, version: number, endpoints = 10): number {
    store.setEndpoints(setOf(index, version, endpoints))
    const delta = store.take()!
    publisher.publish(delta)
    return delta.version
  }

  it('makes the change of one of 10,000 services cost that service alone', async () => {
    const worker = dial()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    const cost = (): number => {
      const from = performance.now()
      for (let round = 0; round < 200; round++) change(round % 10, 100 + round)
      return performance.now() - from
    }
    fill(10)
    cost()
    const least = (): number => Math.min(...Array.from({ length: 6 }, cost))
    const few = least()
    fill(10_000, 1)
    const many = least()
    expect(many, `200 changes among 10,000 services, against ${few} ms among 10`).to.be.lessThan(few * 4 + 20)
    await worker.until(() => worker.snapshot?.version === store.version, 'newest version')
  }).timeout(60_000)

  it('tells workers of certificates before their first snapshot, and again when these change', async () => {
    fill(1)
    const made = (id: string) => ({ id, chain: 'c', key: 'k', trustBundle: 't', notAfter: 1 })
    certificates = [made('spiffe://mesh/a')]
    const worker = dial()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    expect(worker.certificates).to.deep.equal(certificates)
    certificates = [made('spiffe://mesh/b')]
    publisher.publishCertificates()
    await worker.until(() => worker.certificates?.[0]?.id === 'spiffe://mesh/b', 'the change')
    expect(JSON.stringify(worker.snapshot)).to.not.include('spiffe')
  })

  it('goes on above the version that a worker has already', async () => {
    fill(1)
    const worker = dial({ snapshotVersion: 500 })
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    expect(worker.snapshot!.version).to.equal(500)
    change(0, 2)
    await worker.until(() => worker.snapshot!.version === 501, 'delta')
  })

  it('drops deltas for a worker that does not read, within its bound, and gives it the whole later; others get every delta', async () => {
    fill(3, 1)
    const [slow, quick] = [dial(), dial({ index: 1 })]
    await slow.until(() => slow.wholes === 1, 'slow worker')
    await quick.until(() => quick.wholes === 1, 'quick worker')
    slow.pause()
    let version = 0
    for (let round = 2; round < 400; round++) {
      version = change(0, round, 1500)
      await quick.until(() => quick.snapshot!.version === version, 'quick worker keeps up')
      if (metrics.total('worker_link_overflows') > 0) break
    }
    expect(metrics.total('worker_link_overflows')).to.equal(1)
    version = change(1, 2, 1)
    slow.resume()
    await slow.until(() => slow.snapshot?.version === version, 'slow worker has the newest')
    expect(slow.wholes).to.equal(2)
    expect(quick.wholes).to.equal(1)
    expect(maxQueuedBytes).to.be.greaterThan(0)
  }).timeout(60_000)

  it('sends a large whole in slices, and what changes meanwhile after it', async () => {
    fill(1000)
    const worker = dial()
    await worker.until(() => worker.sliceCount === 1, 'first slice')
    worker.pause()
    const versions = [change(0, 2), change(999, 2, 3)]
    worker.resume()
    await worker.until(() => worker.snapshot?.version === versions[1], 'newest version')
    expect(worker).to.include({ wholes: 1, sliceCount: Math.floor((1000 * 11) / 2500) })
    expect(worker.deltas.map((delta) => delta.version)).to.deep.equal(versions)
    expect(isDeepStrictEqual(worker.snapshot, asSent(store.whole(0))), 'the same snapshot').to.equal(true)
  }).timeout(60_000)

  it('sends a small whole in one frame', async () => {
    fill(100)
    const worker = dial()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    expect(worker.sliceCount).to.equal(0)
    expect(isDeepStrictEqual(worker.snapshot, asSent(store.whole(0))), 'the same snapshot').to.equal(true)
  })

  it('keeps its bound for a worker that stops reading in the middle of a whole, which then gets another', async () => {
    const before = metrics.total('worker_link_overflows')
    fill(1000)
    const worker = dial()
    await worker.until(() => worker.sliceCount === 1, 'first slice')
    worker.pause()
    let version = 0
    for (let round = 2; round < 400 && metrics.total('worker_link_overflows') === before; round++) {
      version = change(0, round, 1500)
    }
    expect(metrics.total('worker_link_overflows')).to.equal(before + 1)
    version = change(1, 2, 1)
    worker.resume()
    await worker.until(() => worker.snapshot?.version === version, 'newest version')
    expect(worker.wholes).to.equal(2)
    expect(worker.deltas).to.have.length(0)
    expect(isDeepStrictEqual(worker.snapshot, asSent(store.whole(0))), 'the same snapshot').to.equal(true)
  }).timeout(60_000)

  it('disconnects whoever breaks the protocol and keeps the others', async () => {
    fill(1)
    const good = dial()
    await good.until(() => good.wholes === 1, 'good worker')
    const bad: Buffer[] = [
      Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      encodeFrame({ type: 'need', names: ['x'] }),
      encodeFrame({ type: 'hello', link: 99, generation: 1, index: 0, pid: 1, snapshotVersion: 0 }),
      encodeFrame({ type: 'hello', link: 1, generation: 2, index: 0, pid: 1, snapshotVersion: 0 }),
      encodeFrame({}),
    ]
    for (const bytes of bad) {
      await new Promise<void>((resolve) => {
        const socket = createConnection(join(folder, 'control-1.sock'), () => socket.write(bytes))
        socket.on('error', () => undefined)
        socket.on('close', () => resolve())
      })
    }
    change(0, 2)
    await good.until(() => good.snapshot!.version === store.version, 'still served')
    expect(publisher.states()).to.have.length(1)
  })

  it('sends the whole again to a worker that refused a delta', async () => {
    fill(1)
    const worker = dial()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    const version = change(0, 2)
    worker.send({ type: 'refused', version, code: 'E_WIRE', message: 'no' })
    await worker.until(() => worker.wholes === 2, 'whole again')
    worker.send({ type: 'refused', version, code: 'E_WIRE', message: 'still no' })
    await worker.until(() => publisher.states()[0]!.refusal !== undefined, 'refusal shown')
    expect(worker.wholes).to.equal(2)
  })
})
