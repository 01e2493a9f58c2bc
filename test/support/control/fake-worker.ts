/** A worker as control sees it: dials, says hello, applies what it gets and answers questions as the test says. */
import { createConnection, type Socket } from 'node:net'
import {
  controlLinkVersion,
  type ControlToWorker,
  type SnapshotSlice,
  type WorkerQuestion,
  type WorkerToControl,
} from '../../../contracts/control-link.ts'
import { FrameReader, encodeFrame } from '../../../contracts/frame.ts'
import type { ServiceSpec, Snapshot, SnapshotDelta } from '../../../contracts/snapshot.ts'
import type { WorkloadCertificates } from '../../../contracts/workload-certificate.ts'

/** Only notices a hang: a busy machine takes its time. */
const hangMs = 20_000

export class FakeWorker {
  snapshot: Snapshot | undefined
  readonly deltas: SnapshotDelta[] = []
  wholes = 0
  certificates: WorkloadCertificates | undefined
  /** Of the whole that is under way. */
  readonly slices: SnapshotSlice[] = []
  /** All that came. */
  sliceCount = 0
  isClosed = false
  answer: (question: WorkerQuestion) => unknown = () => ({})
  /** Listeners that it says it could not bind. */
  problems: { listener: string; code: string; message: string }[] = []
  private readonly socket: Socket
  private readonly waiters = new Set<() => void>()

  constructor(path: string, hello: Partial<Extract<WorkerToControl, { type: 'hello' }>> = {}) {
    const reader = new FrameReader()
    this.socket = createConnection(path)
    this.socket.on('connect', () =>
      this.send({
        type: 'hello',
        link: controlLinkVersion,
        generation: 1,
        index: 0,
        pid: 4711,
        snapshotVersion: 0,
        ...hello,
      }),
    )
    this.socket.on('data', (chunk) => {
      for (const message of reader.push(chunk as Buffer)) this.handle(message as ControlToWorker)
    })
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.isClosed = true
      this.wake()
    })
  }

  send(message: WorkerToControl): void {
    this.socket.write(encodeFrame(message))
  }

  sendRaw(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** Resolves when the condition holds; looked at after every message. */
  async until(condition: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + hangMs
    while (!condition()) {
      if (Date.now() > deadline) throw new Error(`fake worker: ${what}: not after ${hangMs} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(finish, 50)
        const waiters = this.waiters
        function finish(): void {
          clearTimeout(timer)
          waiters.delete(finish)
          resolve()
        }
        waiters.add(finish)
      })
    }
  }

  close(): void {
    this.socket.destroy()
  }

  private handle(message: ControlToWorker): void {
    if (message.type === 'slice') {
      this.slices.push(message.slice)
      this.sliceCount++
    } else if (message.type === 'snapshot') {
      this.wholes++
      const parts = [...this.slices.splice(0), message.snapshot]
      this.snapshot = {
        ...message.snapshot,
        services: Object.assign({}, ...parts.map((part) => part.services)) as Snapshot['services'],
        virtualHosts: Object.assign({}, ...parts.map((part) => part.virtualHosts)) as Snapshot['virtualHosts'],
        names: Object.assign({}, ...parts.map((part) => part.names)) as Snapshot['names'],
      }
      this.send({ type: 'applied', version: message.snapshot.version, problems: this.problems })
    } else if (message.type === 'delta') {
      this.deltas.push(message.delta)
      this.snapshot = applyDelta(this.snapshot!, message.delta)
      this.send({ type: 'applied', version: message.delta.version, problems: this.problems })
    } else if (message.type === 'certificates') this.certificates = message.certificates
    else this.send({ type: 'reply', id: message.id, body: this.answer(message.question) })
    this.wake()
  }

  private wake(): void {
    for (const waiter of this.waiters) waiter()
  }
}

/** The plain meaning of a delta. Throws when it does not fit on the snapshot. */
function applyDelta(snapshot: Snapshot, delta: SnapshotDelta): Snapshot {
  if (delta.baseVersion !== snapshot.version) throw new Error(`delta on ${delta.baseVersion}, have ${snapshot.version}`)
  const merge = <T>(now: Readonly<Record<string, T>>, changes: Readonly<Record<string, T | null>> = {}) => {
    const made: Record<string, T> = { ...now }
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) delete made[key]
      else made[key] = value
    }
    return made
  }
  // in place where only endpoints changed: a test with 10,000 services must not measure this file
  const services =
    delta.services === undefined
      ? (snapshot.services as Record<string, ServiceSpec>)
      : merge(snapshot.services, delta.services)
  for (const [key, endpoints] of Object.entries(delta.endpoints ?? {})) services[key] = { ...services[key]!, endpoints }
  const names: Record<string, string | null> = { ...snapshot.names, ...delta.names }
  for (const name of delta.forgottenNames ?? []) delete names[name]
  return {
    ...snapshot,
    version: delta.version,
    ...(delta.node === undefined ? {} : { node: delta.node }),
    ...(delta.mesh === undefined ? {} : { mesh: delta.mesh }),
    listeners: merge(snapshot.listeners, delta.listeners),
    virtualHosts: merge(snapshot.virtualHosts, delta.virtualHosts),
    services,
    names,
  }
}
