import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect } from 'chai'

import { ControlClient } from '../../../../../agent/worker/link/control-client.ts'
import type { ControlToWorker, SnapshotSlice, WorkerToControl } from '../../../../../contracts/control-link.ts'
import { MeshError } from '../../../../../contracts/errors.ts'
import { encodeFrame, FrameReader } from '../../../../../contracts/frame.ts'
import type { Snapshot } from '../../../../../contracts/snapshot.ts'
import type { WorkloadCertificates } from '../../../../../contracts/workload-certificate.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { snapshotOf } from '../../../../support/worker/snapshots.ts'

/** Version of a snapshot that the worker cannot use. */
const unusable = 99

describe('the link to control', () => {
  let folder: string
  let server: Server | undefined
  let client: ControlClient
  let sockets: Socket[]
  let received: WorkerToControl[]
  let version: number
  let loads: number
  let loaded: Snapshot | undefined
  /** Each dial that failed draws once, for its back-off. */
  let failedDials: number
  let certificates: WorkloadCertificates
  const logged: string[] = []
  const pending: string[] = []
  const order: string[] = []

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-link-'))
    sockets = []
    received = []
    version = 0
    loads = 0
    loaded = undefined
    failedDials = 0
    certificates = []
    logged.length = 0
    pending.length = 0
    order.length = 0
    client = new ControlClient({
      path: join(folder, 'control.sock'),
      generation: 3,
      index: 1,
      random: () => {
        failedDials++
        return 0.5
      },
      log: (level, message) => logged.push(`${level} ${message}`),
      version: () => version,
      transport: () => ({ kind: 'raw', reason: 'as configured' }),
      load: (snapshot) => {
        if (snapshot.version === unusable) throw new MeshError('E_WIRE', 'snapshot of another format')
        version = snapshot.version
        loaded = snapshot
        setImmediate(() => order.push('next turn'))
        loads++
      },
      apply: (delta) => {
        if (delta.baseVersion !== version) throw new MeshError('E_WIRE', 'delta does not follow')
        version = delta.version
      },
      certificates: (found) => (certificates = found),
      problems: async () => {
        order.push('reported')
        return [{ listener: 'a', code: 'E_LISTEN_IN_USE', message: 'taken' }]
      },
      answer: (question) => {
        if (question.kind === 'stats') return { series: [] }
        throw new MeshError('E_ADMIN_REQUEST', 'not that one')
      },
      pendingNames: () => pending,
      takeUsed: () => [],
      onConnected: () => undefined,
    })
  })

  afterEach(async () => {
    client.close()
    for (const socket of sockets) socket.destroy()
    if (server !== undefined) await new Promise<void>((resolve) => server!.close(() => resolve()))
    server = undefined
    rmSync(folder, { recursive: true, force: true })
  })

  async function control(): Promise<void> {
    server = createServer((socket) => {
      sockets.push(socket)
      const reader = new FrameReader()
      socket.on('error', () => {})
      socket.on('data', (bytes: Buffer) => received.push(...(reader.push(bytes) as WorkerToControl[])))
    })
    await new Promise<void>((resolve) => server!.listen(join(folder, 'control.sock'), resolve))
  }

  const tell = (message: ControlToWorker): void => void sockets.at(-1)!.write(encodeFrame(message))
  const got = <T extends WorkerToControl['type']>(type: T) =>
    received.find((message): message is Extract<WorkerToControl, { type: T }> => message.type === type)
  const snapshot = (of: number) => snapshotOf({ services: [], listen: {}, version: of })

  it('dials until control is there, says who it is, and takes the snapshot', async () => {
    client.start()
    await eventually(() => failedDials >= 2)
    expect(client.isConnected).to.equal(false)
    await control()
    await eventually(() => got('hello') !== undefined)
    expect(got('hello')).to.include({ generation: 3, index: 1, pid: process.pid, snapshotVersion: 0 })
    expect(got('hello')?.transport).to.deep.equal({ kind: 'raw', reason: 'as configured' })
    tell({ type: 'snapshot', snapshot: snapshot(5) })
    await client.snapshotReceived
    await eventually(() => got('applied') !== undefined)
    expect(got('applied')).to.deep.include({ version: 5 })
    expect(got('applied')!.problems).to.have.length(1)
  })

  it('reports what it has taken in a later turn, so that requests which came meanwhile are read before', async () => {
    await control()
    client.start()
    await eventually(() => got('hello') !== undefined)
    tell({ type: 'snapshot', snapshot: snapshot(5) })
    await eventually(() => got('applied') !== undefined)
    expect(order).to.deep.equal(['next turn', 'reported'])
  })

  it('hands on the certificates of its host', async () => {
    await control()
    client.start()
    await eventually(() => got('hello') !== undefined)
    const one = { id: 'spiffe://mesh/a', chain: 'c', key: 'k', trustBundle: 't', notAfter: 1 }
    tell({ type: 'certificates', certificates: [one] })
    await eventually(() => certificates.length === 1)
    expect(certificates).to.deep.equal([one])
  })

  it('puts a whole snapshot together from its slices, and forgets those of a link that broke', async () => {
    const plan = (name: string) => ({ name, endpoints: [{ address: '10.0.0.1', port: 80 }] })
    const text = JSON.stringify(snapshotOf({ services: ['a', 'b', 'c'].map(plan), listen: {}, version: 5 }))
    const all = JSON.parse(text) as Snapshot
    const pick = (part: Readonly<Record<string, unknown>>, at: number) =>
      Object.fromEntries(Object.entries(part).slice(at, at + 1))
    const slice = (at: number) => ({
      services: pick(all.services, at),
      virtualHosts: pick(all.virtualHosts, at),
      names: pick(all.names, at),
    })
    const tellSlice = (at: number): void => tell({ type: 'slice', slice: slice(at) as SnapshotSlice })
    await control()
    client.start()
    await eventually(() => got('hello') !== undefined)
    tellSlice(0)
    sockets[0]!.end()
    await eventually(() => received.filter((message) => message.type === 'hello').length === 2)
    expect(loads).to.equal(0)
    tellSlice(1)
    tell({ type: 'snapshot', snapshot: { ...all, ...slice(2) } as Snapshot })
    await eventually(() => loads === 1)
    expect(Object.keys(loaded!.names)).to.deep.equal(['b', 'c'])
    expect(loaded!.services).to.deep.equal({ ...slice(1).services, ...slice(2).services })
    expect(loaded!.virtualHosts).to.deep.equal({ ...slice(1).virtualHosts, ...slice(2).virtualHosts })
    tell({ type: 'snapshot', snapshot: snapshot(6) })
    await eventually(() => loads === 2)
    expect(loaded!.services, 'nothing of an earlier whole').to.deep.equal({})
  })

  it('keeps what it has when a snapshot or delta cannot be used, and says why', async () => {
    await control()
    client.start()
    await eventually(() => got('hello') !== undefined)
    tell({ type: 'snapshot', snapshot: snapshot(5) })
    tell({ type: 'delta', delta: { baseVersion: 7, version: 8 } })
    await eventually(() => got('refused') !== undefined)
    expect(got('refused')).to.deep.include({ version: 8, code: 'E_WIRE' })
    expect(version).to.equal(5)
    received.length = 0
    tell({ type: 'snapshot', snapshot: snapshot(unusable) })
    await eventually(() => got('refused') !== undefined)
    expect(got('refused')).to.deep.include({
      version: unusable,
      code: 'E_WIRE',
      message: 'E_WIRE  snapshot of another format',
    })
    expect(version).to.equal(5)
    expect(loads).to.equal(1)
    expect(logged.at(-1)).to.equal(
      `error snapshot ${unusable} is not used: E_WIRE  snapshot of another format; serving on with 5`,
    )
  })

  it('goes on without control and dials the next one, which sends the whole snapshot again', async () => {
    await control()
    client.start()
    await eventually(() => got('hello') !== undefined)
    tell({ type: 'snapshot', snapshot: snapshot(5) })
    await eventually(() => loads === 1)
    pending.push('billing')
    sockets[0]!.destroy()
    await eventually(() => received.filter((message) => message.type === 'hello').length === 2)
    expect(version).to.equal(5)
    expect(received.at(-1)).to.deep.equal({ type: 'need', names: ['billing'] })
    tell({ type: 'snapshot', snapshot: snapshot(6) })
    await eventually(() => version === 6)
  })

  it('dials anew after bytes that are no frames', async () => {
    await control()
    client.start()
    await eventually(() => got('hello') !== undefined)
    sockets[0]!.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]))
    await eventually(() => sockets.length === 2)
    expect(logged.some((line) => line.startsWith('error') && line.includes('E_WIRE'))).to.equal(true)
  })

  it('answers questions, and fails one that it cannot answer with its code', async () => {
    await control()
    client.start()
    await eventually(() => got('hello') !== undefined)
    tell({ type: 'ask', id: 1, question: { kind: 'stats' } })
    tell({ type: 'ask', id: 2, question: { kind: 'listeners' } })
    await eventually(() => got('failed') !== undefined)
    expect(got('reply')).to.deep.equal({ type: 'reply', id: 1, body: { series: [] } })
    expect(got('failed')).to.deep.include({ id: 2, code: 'E_ADMIN_REQUEST' })
  })
})
