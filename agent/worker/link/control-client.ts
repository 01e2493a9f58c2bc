import { connect } from 'node:net'
import type { Socket } from 'node:net'

import { controlLinkVersion } from '../../../contracts/control-link.ts'
import type {
  ControlToWorker,
  ListenerProblem,
  SnapshotSlice,
  WorkerQuestion,
  WorkerToControl,
  WorkerTransport,
} from '../../../contracts/control-link.ts'
import { describeError, MeshError } from '../../../contracts/errors.ts'
import type { WorkerTrouble } from '../../../contracts/events.ts'
import { encodeFrame, FrameReader } from '../../../contracts/frame.ts'
import type { Snapshot, SnapshotDelta } from '../../../contracts/snapshot.ts'
import type { ClientCredential, WorkloadCertificates } from '../../../contracts/workload-certificate.ts'

export interface ControlClientDeps {
  /** Path of control's socket in the run directory. */
  readonly path: string
  readonly generation: number
  readonly index: number
  /** 0..1, exclusive. */
  readonly random: () => number
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
  /** Version of the snapshot that the worker has. */
  readonly version: () => number
  readonly transport: () => WorkerTransport
  /** Both throw a MeshError when they cannot be used; what was there before then stays. */
  readonly load: (snapshot: Snapshot) => void
  readonly apply: (delta: SnapshotDelta) => void
  readonly certificates: (certificates: WorkloadCertificates, credentials: readonly ClientCredential[]) => void
  /** Listeners that are not bound; asked when binding has settled after a change. `waiting`: none may be bound yet. */
  readonly problems: () => Promise<readonly ListenerProblem[] | 'waiting'>
  /** May throw a MeshError. */
  readonly answer: (question: WorkerQuestion) => unknown
  /** Names that requests wait for, sent again to each new control. */
  readonly pendingNames: () => readonly string[]
  readonly takeUsed: () => readonly string[]
  /** Another control may be there, which knows nothing of what was told. */
  readonly onConnected: () => void
}

const firstDelayMs = 50
const maxDelayMs = 2000
/** Control keeps services subscribed that are reported; `contracts/control-link.ts` allows one message per 10 s. */
const usedEveryMs = 10_000
const pendingLimitBytes = 16 * 1024 * 1024
const readBytes = 65_536

/**
 * The worker's end of the link to control. Dials, and dials again with jittered back-off for as long as the worker
 * lives: control may die and come back, and traffic goes on with what is there.
 */
export class ControlClient {
  private readonly deps: ControlClientDeps
  private socket: Socket | undefined
  private timer: NodeJS.Timeout | undefined
  private usedTimer: NodeJS.Timeout | undefined
  private failures = 0
  private isClosed = false
  /** Of the whole snapshot that is under way. */
  private slices: SnapshotSlice[] = []
  isConnected = false
  private firstSnapshot: (() => void) | undefined
  /** Resolves with the first snapshot that came over the link. */
  readonly snapshotReceived: Promise<void>
  private readonly firstCertificates = Promise.withResolvers<true>()
  /** Resolves with the first certificates that came over the link, none included. */
  readonly certificatesReceived: Promise<true> = this.firstCertificates.promise

  constructor(deps: ControlClientDeps) {
    this.deps = deps
    this.snapshotReceived = new Promise((resolve) => {
      this.firstSnapshot = resolve
    })
  }

  start(): void {
    this.dial()
    this.usedTimer = setInterval(() => {
      if (!this.isConnected) return
      const services = this.deps.takeUsed()
      if (services.length > 0) this.send({ type: 'used', services })
    }, usedEveryMs)
    this.usedTimer.unref()
  }

  close(): void {
    this.isClosed = true
    clearTimeout(this.timer)
    clearInterval(this.usedTimer)
    this.socket?.destroy()
  }

  need(names: readonly string[]): void {
    this.send({ type: 'need', names })
  }

  refused(application: string): void {
    this.send({ type: 'refused-application', application })
  }

  troubles(troubles: readonly WorkerTrouble[]): void {
    this.send({ type: 'troubles', troubles })
  }

  listeners(problems: readonly ListenerProblem[]): void {
    this.send({ type: 'listeners', problems })
  }

  private send(message: WorkerToControl): void {
    const { socket } = this
    if (socket === undefined || !this.isConnected) return
    if (socket.writableLength > pendingLimitBytes) {
      // Control does not read: it is dialled anew rather than waited for.
      socket.destroy()
      return
    }
    socket.write(encodeFrame(message))
  }

  private dial(): void {
    const reader = new FrameReader()
    // past the stream's own buffers: a change is read in one step
    const socket = connect({
      path: this.deps.path,
      onread: {
        buffer: Buffer.allocUnsafeSlow(readBytes),
        callback: (count, bytes) => {
          this.read(socket, reader, Buffer.from(bytes.subarray(0, count)))
          return true
        },
      },
    })
    this.socket = socket
    this.slices = []
    socket.on('connect', () => {
      this.isConnected = true
      const { generation, index, transport, version, pendingNames } = this.deps
      this.send({
        type: 'hello',
        link: controlLinkVersion,
        generation,
        index,
        pid: process.pid,
        snapshotVersion: version(),
        transport: transport(),
      })
      const names = pendingNames()
      if (names.length > 0) this.need(names)
      this.deps.onConnected()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.isClosed) return
      if (this.isConnected) this.deps.log('warn', 'link to control is lost; serving on with the snapshot in hand')
      this.isConnected = false
      const delay = Math.min(maxDelayMs, firstDelayMs * 2 ** this.failures++)
      this.timer = setTimeout(() => this.dial(), delay * (0.5 + this.deps.random() / 2))
    })
  }

  private read(socket: Socket, reader: FrameReader, bytes: Buffer): void {
    try {
      for (const message of reader.push(bytes)) this.receive(message as ControlToWorker)
    } catch (error) {
      this.deps.log('error', `link to control: ${describeError(error)}; dialling again`)
      socket.destroy()
    }
  }

  private receive(message: ControlToWorker): void {
    switch (message.type) {
      case 'slice':
        this.slices.push(message.slice)
        return
      case 'snapshot': {
        const snapshot = withSlices(message.snapshot, this.slices)
        this.slices = []
        this.failures = 0
        if (this.take(snapshot.version, () => this.deps.load(snapshot))) this.firstSnapshot?.()
        return
      }
      case 'delta':
        this.take(message.delta.version, () => this.deps.apply(message.delta))
        return
      case 'certificates':
        this.deps.certificates(message.certificates, message.credentials ?? [])
        this.firstCertificates.resolve(true)
        return
      case 'ask':
        this.reply(message.id, message.question)
    }
  }

  private take(version: number, use: () => void): boolean {
    try {
      use()
    } catch (error) {
      const code = error instanceof MeshError ? error.code : 'E_INTERNAL'
      const text = describeError(error)
      this.deps.log('error', `snapshot ${version} is not used: ${text}; serving on with ${this.deps.version()}`)
      afterRequests(() => this.send({ type: 'refused', version, code, message: text }))
      return false
    }
    afterRequests(() => void this.tellApplied(version))
    return true
  }

  private async tellApplied(version: number): Promise<void> {
    const problems = await this.deps.problems()
    if (problems === 'waiting') this.send({ type: 'applied', version, problems: [], isWaiting: true })
    else this.send({ type: 'applied', version, problems })
  }

  private reply(id: number, question: WorkerQuestion): void {
    try {
      this.send({ type: 'reply', id, body: this.deps.answer(question) ?? null })
    } catch (error) {
      const code = error instanceof MeshError ? error.code : 'E_INTERNAL'
      this.send({ type: 'failed', id, code, message: describeError(error) })
    }
  }
}

/** In a turn of the loop behind the next one, in which the requests are read that have come meanwhile. */
function afterRequests(tell: () => void): void {
  setImmediate(() => setImmediate(tell))
}

function withSlices(rest: Snapshot, slices: readonly SnapshotSlice[]): Snapshot {
  if (slices.length === 0) return rest
  const all = [...slices, rest]
  return {
    ...rest,
    services: Object.assign({}, ...all.map(({ services }) => services)) as Snapshot['services'],
    virtualHosts: Object.assign({}, ...all.map(({ virtualHosts }) => virtualHosts)) as Snapshot['virtualHosts'],
    names: Object.assign({}, ...all.map(({ names }) => names)) as Snapshot['names'],
  }
}
