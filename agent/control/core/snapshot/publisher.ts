/**
 * Control's end of `contracts/control-link.ts`: one unix stream socket, any number of workers.
 *
 * A worker that connects gets the whole snapshot, slice by slice as it reads, then deltas, in order. A worker that does
 * not read is not waited for: when more than `maxQueuedBytes` wait for it, deltas for it are dropped and it gets the
 * whole snapshot once the queue is empty. A worker that breaks the protocol is disconnected; it dials again.
 */
import { chmodSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import {
  controlLinkVersion,
  type ControlToWorker,
  type ListenerProblem,
  type WorkerQuestion,
  type WorkerToControl,
  type WorkerTransport,
} from '../../../../contracts/control-link.ts'
import { MeshError } from '../../../../contracts/errors.ts'
import { FrameReader, encodeFrame } from '../../../../contracts/frame.ts'
import type { AdapterMetrics } from '../../../../contracts/registry-adapter.ts'
import type { Snapshot, SnapshotDelta } from '../../../../contracts/snapshot.ts'
import type { ClientCredential, WorkloadCertificates } from '../../../../contracts/workload-certificate.ts'
import type { Clock } from '../../clock.ts'
import { systemReason } from '../../config/yaml-file.ts'
import type { Log } from '../../log.ts'
import { snapshotFrames } from './slices.ts'

export interface PublisherDeps {
  readonly path: string
  readonly generation: number
  readonly clock: Clock
  readonly log: Log
  readonly metrics: AdapterMetrics
  snapshot(): Snapshot
  certificates(): WorkloadCertificates
  readonly credentials: () => readonly ClientCredential[]
  /** The greatest version that a worker said it has. */
  onSeenVersion(version: number): void
  onNeed(names: readonly string[]): void
  onUsed(services: readonly string[]): void
  /** `address:port` of an application of this host. */
  onRefusedApplication(application: string): void
  /** All that is wrong in a worker now: what it sent, unchecked. */
  onTroubles(pid: number, troubles: unknown): void
  /** A worker came, went, applied or refused a version. */
  onWorkers(): void
}

export interface WorkerState {
  readonly index: number
  readonly pid: number
  /** Newest version that it runs with. */
  readonly version: number
  /** Version that was sent last. */
  readonly sentVersion: number
  readonly problems: readonly ListenerProblem[]
  /** Whether it has bound, or tried to bind, what its version says. */
  readonly isListening: boolean
  /** Why it refused the last version; undefined when it did not. */
  readonly refusal: string | undefined
  /** How its sockets are served; undefined where it does not say. */
  readonly transport: WorkerTransport | undefined
  readonly connectedAt: number
}

interface Worker {
  readonly socket: Socket
  readonly reader: FrameReader
  state: WorkerState | undefined
  /** Once what is under way has been read. */
  needsWhole: boolean
  /** The rest of a whole snapshot that is under way. */
  frames: Generator<Buffer> | undefined
  /** Deltas that follow on it. */
  deferred: Buffer[]
  deferredBytes: number
  readonly questions: Map<number, { resolve: (body: unknown) => void; reject: (error: Error) => void }>
}

export interface Answer {
  readonly index: number
  readonly pid: number
  readonly body: unknown
}

/**
 * Bound of what waits for one worker that does not read. A whole snapshot is no part of it, for its next slice is made
 * when the one before has been read.
 */
export const maxQueuedBytes = 32 * 1024 * 1024
/** Workers of one generation plus those that are about to be replaced. */
const maxWorkers = 256
const maxNamesPerNeed = 1000

export class Publisher {
  private readonly deps: PublisherDeps
  private readonly server: Server
  private readonly workers = new Set<Worker>()
  /** Version of the last whole snapshot. */
  private readonly wholeSent = new WeakMap<Worker, number>()
  private nextQuestion = 1

  constructor(deps: PublisherDeps) {
    this.deps = deps
    this.server = createServer((socket) => this.accept(socket))
  }

  /**
   * Rejects with E_ALREADY_RUNNING when another control of this generation answers, E_RUN_DIRECTORY when the socket
   * cannot be made.
   */
  async listen(): Promise<void> {
    const { path } = this.deps
    if (await answers(path))
      throw new MeshError(
        'E_ALREADY_RUNNING',
        `${path}: another control answers there; this one stops and the running one is not touched; use another runDir for a second agent`,
      )
    rmSync(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (cause) =>
        reject(
          new MeshError('E_RUN_DIRECTORY', `${path}: cannot listen: ${systemReason(cause)}; check runDir`, { cause }),
        ),
      )
      this.server.listen(path, () => {
        chmodSync(path, 0o600)
        resolve()
      })
    })
  }

  states(): readonly WorkerState[] {
    return [...this.workers].flatMap((worker) => (worker.state === undefined ? [] : [worker.state]))
  }

  publish(delta: SnapshotDelta): void {
    let frame: Buffer | null | undefined
    for (const worker of this.workers) {
      if (worker.state === undefined || worker.needsWhole) continue
      if (isFull(worker) || worker.state.sentVersion !== delta.baseVersion) {
        this.sendWholeLater(worker)
        continue
      }
      if (frame === undefined) frame = deltaFrame(delta)
      if (frame === null) {
        this.sendWholeLater(worker)
        continue
      }
      if (worker.frames === undefined) worker.socket.write(frame)
      else {
        worker.deferred.push(frame)
        worker.deferredBytes += frame.length
      }
      worker.state = { ...worker.state, sentVersion: delta.version }
    }
    if (frame) this.deps.metrics.count('snapshot_delta_bytes', {}, frame.length)
  }

  /** What `certificates` says now. A worker that does not read gets it with the next whole snapshot. */
  publishCertificates(): void {
    let frame: Buffer | undefined
    for (const worker of this.workers) {
      if (worker.state === undefined || worker.needsWhole) continue
      if (isFull(worker)) this.sendWholeLater(worker)
      else worker.socket.write((frame ??= certificatesFrame(this.deps)))
    }
  }

  /**
   * Asks every connected worker; the answers of those that gave one within `timeoutMs`, and what the others failed
   * with.
   */
  async ask(question: WorkerQuestion, timeoutMs: number): Promise<{ answers: Answer[]; problems: string[] }> {
    const answers: Answer[] = []
    const problems: string[] = []
    await Promise.all(
      [...this.workers].map(async (worker) => {
        if (worker.state === undefined) return
        const { index, pid } = worker.state
        try {
          answers.push({ index, pid, body: await this.askOne(worker, question, timeoutMs) })
        } catch (error) {
          problems.push(`worker ${index}: ${error instanceof Error ? error.message : String(error)}`)
        }
      }),
    )
    return { answers: answers.toSorted((a, b) => a.index - b.index || a.pid - b.pid), problems }
  }

  async close(): Promise<void> {
    for (const worker of this.workers) worker.socket.destroy()
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
  }

  private askOne(worker: Worker, question: WorkerQuestion, timeoutMs: number): Promise<unknown> {
    const id = this.nextQuestion++
    return new Promise((resolve, reject) => {
      const cancel = this.deps.clock.after(timeoutMs, () => {
        worker.questions.delete(id)
        reject(new Error(`no answer after ${timeoutMs} ms`))
      })
      worker.questions.set(id, {
        resolve: (body) => {
          cancel()
          resolve(body)
        },
        reject: (error) => {
          cancel()
          reject(error)
        },
      })
      worker.socket.write(encodeFrame({ type: 'ask', id, question } satisfies ControlToWorker))
    })
  }

  private accept(socket: Socket): void {
    if (this.workers.size >= maxWorkers) {
      socket.destroy()
      return
    }
    const worker: Worker = {
      socket,
      reader: new FrameReader(),
      state: undefined,
      needsWhole: false,
      frames: undefined,
      deferred: [],
      deferredBytes: 0,
      questions: new Map(),
    }
    this.workers.add(worker)
    socket.on('data', (chunk) => this.read(worker, chunk))
    socket.on('drain', () => {
      if (worker.frames !== undefined) this.sendSlice(worker)
      else if (worker.needsWhole) this.sendWhole(worker)
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.workers.delete(worker)
      for (const question of worker.questions.values()) question.reject(new Error('the worker went away'))
      if (worker.state !== undefined) {
        this.deps.log.info(
          { worker: worker.state.index, workerPid: worker.state.pid },
          `worker ${worker.state.index}: gone`,
        )
        this.deps.onWorkers()
      }
    })
  }

  private read(worker: Worker, chunk: Buffer | string): void {
    try {
      for (const message of worker.reader.push(chunk as Buffer)) this.handle(worker, message as WorkerToControl)
    } catch (error) {
      this.breakOff(worker, error)
    }
  }

  private breakOff(worker: Worker, error: unknown): void {
    this.deps.metrics.count('worker_link_errors', {})
    this.deps.log.error(
      { code: 'E_WIRE' },
      `worker ${worker.state?.index ?? 'unknown'}: ${error instanceof Error ? error.message : String(error)}; its connection is closed and it will dial again`,
    )
    worker.socket.destroy()
  }

  private handle(worker: Worker, message: WorkerToControl): void {
    if (worker.state === undefined) {
      if (message.type !== 'hello')
        throw new MeshError('E_WIRE', `first message is ${String(message.type)}, allowed hello`)
      this.greet(worker, message)
      return
    }
    switch (message.type) {
      case 'applied':
        if (!Number.isSafeInteger(message.version)) throw new MeshError('E_WIRE', 'applied without a version')
        worker.state = {
          ...worker.state,
          version: message.version,
          problems: problemsIn(message.problems),
          isListening: message.isWaiting !== true,
          refusal: undefined,
        }
        this.deps.onWorkers()
        return
      case 'listeners':
        worker.state = { ...worker.state, problems: problemsIn(message.problems), isListening: true }
        this.deps.onWorkers()
        return
      case 'refused':
        worker.state = { ...worker.state, refusal: `${message.code}  ${message.message}` }
        this.deps.metrics.count('snapshot_refused', {})
        this.deps.log.error(
          { code: message.code, worker: worker.state.index, version: message.version },
          `worker ${worker.state.index}: refused snapshot v${message.version}: ${message.message}; it keeps v${worker.state.version}`,
        )
        // whatever went wrong with a delta, the whole says it again; a refused whole waits for the next change
        if (message.version === worker.state.sentVersion && message.version !== this.wholeSent.get(worker))
          this.sendWholeLater(worker)
        this.deps.onWorkers()
        return
      case 'need':
        this.deps.onNeed(strings(message.names).slice(0, maxNamesPerNeed))
        return
      case 'used':
        this.deps.onUsed(strings(message.services))
        return
      case 'refused-application':
        this.deps.onRefusedApplication(String(message.application))
        return
      case 'troubles':
        this.deps.onTroubles(worker.state.pid, message.troubles)
        return
      case 'reply':
        this.settle(worker, message.id)?.resolve(message.body)
        return
      case 'failed':
        this.settle(worker, message.id)?.reject(new Error(`${message.code}  ${message.message}`))
        return
      case 'hello':
        throw new MeshError('E_WIRE', 'a second hello')
    }
  }

  private greet(worker: Worker, hello: Extract<WorkerToControl, { type: 'hello' }>): void {
    const { link }: { link: number } = hello
    if (link !== controlLinkVersion)
      throw new MeshError('E_WIRE', `link version ${link}, allowed ${controlLinkVersion}`)
    if (hello.generation !== this.deps.generation)
      throw new MeshError('E_WIRE', `generation ${String(hello.generation)}, allowed ${this.deps.generation}`)
    worker.state = {
      index: hello.index,
      pid: hello.pid,
      version: hello.snapshotVersion,
      transport: hello.transport,
      sentVersion: 0,
      problems: [],
      isListening: false,
      refusal: undefined,
      connectedAt: this.deps.clock.wall(),
    }
    this.deps.onSeenVersion(hello.snapshotVersion)
    this.deps.log.info({ worker: hello.index, workerPid: hello.pid }, `worker ${hello.index}: connected`)
    this.sendWhole(worker)
    this.deps.onWorkers()
  }

  private sendWhole(worker: Worker): void {
    const snapshot = this.deps.snapshot()
    worker.needsWhole = false
    worker.socket.write(certificatesFrame(this.deps))
    worker.frames = snapshotFrames(snapshot)
    this.sendSlice(worker)
    this.wholeSent.set(worker, snapshot.version)
    worker.state = { ...worker.state!, sentVersion: snapshot.version }
    this.deps.metrics.count('snapshot_whole_sent', {})
  }

  /** The next one follows when this one has been read, or in a later turn. */
  private sendSlice(worker: Worker): void {
    const { frames, socket } = worker
    if (frames === undefined || socket.destroyed) return
    let frame: Buffer | undefined
    try {
      frame = frames.next().value as Buffer | undefined
    } catch (error) {
      this.breakOff(worker, error)
      return
    }
    if (frame !== undefined) {
      if (socket.write(frame)) setImmediate(() => this.sendSlice(worker))
      return
    }
    worker.frames = undefined
    if (worker.needsWhole) this.sendWhole(worker)
    else for (const delta of takeDeferred(worker)) socket.write(delta)
  }

  /** At once while the bound allows it, else when the queue has been read. */
  private sendWholeLater(worker: Worker): void {
    const isOverflow = isFull(worker)
    if (isOverflow) this.deps.metrics.count('worker_link_overflows', {})
    if (!isOverflow && worker.frames === undefined) this.sendWhole(worker)
    else {
      worker.needsWhole = true
      takeDeferred(worker)
    }
  }

  private settle(worker: Worker, id: number) {
    const question = worker.questions.get(id)
    worker.questions.delete(id)
    return question
  }
}

/**
 * null: larger than a frame may be, for a change of very many services at once; the whole, which comes in slices, says
 * it too.
 */
function deltaFrame(delta: SnapshotDelta): Buffer | null {
  try {
    return encodeFrame({ type: 'delta', delta } satisfies ControlToWorker)
  } catch (error) {
    if (error instanceof MeshError) return null
    throw error
  }
}

function certificatesFrame(from: Pick<PublisherDeps, 'certificates' | 'credentials'>): Buffer {
  const [certificates, credentials] = [from.certificates(), from.credentials()]
  return encodeFrame({ type: 'certificates', certificates, credentials } satisfies ControlToWorker)
}

function isFull(worker: Worker): boolean {
  return worker.socket.writableLength + worker.deferredBytes > maxQueuedBytes
}

function takeDeferred(worker: Worker): Buffer[] {
  const { deferred } = worker
  worker.deferred = []
  worker.deferredBytes = 0
  return deferred
}

function problemsIn(value: unknown): readonly ListenerProblem[] {
  return Array.isArray(value) ? (value as readonly ListenerProblem[]) : []
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string' && one.length <= 2048) : []
}

/** Whether somebody listens on a unix socket. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    const finish = (isThere: boolean): void => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', () => finish(true))
    socket.once('error', () => finish(false))
  })
}
