/**
 * A worker as its own process, fed by a control of the test: one snapshot at the start, changes and questions when the
 * test wants them.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { ControlToWorker, StatsDump, WorkerQuestion, WorkerToControl } from '../../../contracts/control-link.ts'
import { encodeFrame, FrameReader } from '../../../contracts/frame.ts'
import { runFiles } from '../../../contracts/run-directory.ts'
import type { Snapshot, SnapshotDelta } from '../../../contracts/snapshot.ts'
import { confined } from './confined.ts'
import type { Confinement } from './confined.ts'
import { transportNodeFlags, transportWords } from './transport-flags.ts'

/** Long enough for a machine that is busy with something else; half a second on an idle one. */
const readyTimeoutMs = 25_000

export interface HowToRun {
  /** Absent: as HOSTMESH_TEST_TRANSPORT says, else the default. */
  readonly transport?: string
  /** What the system does not let it do. */
  readonly confinement?: Confinement
}

export class WorkerProcess {
  readonly directory: string
  private readonly server: Server
  private readonly child: ChildProcess
  private socket: Socket | null = null
  private readonly output: string[] = []
  private readonly answers = new Map<number, (message: WorkerToControl) => void>()
  private readonly versions = new Map<number, (message: WorkerToControl) => void>()
  private nextQuestion = 1
  private exit: string | undefined

  /**
   * Starts it and waits until the snapshot is applied and every listener bound. nodeFlags: for the engine, such as
   * `--trace-gc`.
   */
  static async start(
    snapshot: Snapshot,
    nodeFlags: readonly string[] = [],
    how: HowToRun = {},
  ): Promise<WorkerProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'hostmesh-worker-'))
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(join(directory, runFiles.control(1)), resolve)
    })
    const worker = new WorkerProcess(directory, server, snapshot, nodeFlags, how)
    try {
      await worker.applied(snapshot.version)
    } catch (error) {
      await worker.stop()
      throw error
    }
    return worker
  }

  private constructor(
    directory: string,
    server: Server,
    snapshot: Snapshot,
    nodeFlags: readonly string[],
    how: HowToRun,
  ) {
    this.directory = directory
    this.server = server
    server.on('connection', (socket) => this.link(socket, snapshot))
    const main = new URL('../../../agent/worker/main.ts', import.meta.url).pathname
    const command = [
      process.execPath,
      ...transportNodeFlags,
      ...nodeFlags,
      main,
      '--run-dir',
      directory,
      '--generation',
      '1',
      '--index',
      '0',
      '--alone',
      ...transportWords(how.transport),
    ]
    const [program = '', ...words] = how.confinement === undefined ? command : confined(how.confinement, command)
    this.child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output.push(chunk.toString())
        if (this.output.length > 500) this.output.shift()
      })
    }
    this.child.once('exit', (code, signal) => {
      this.exit = `the worker ended: ${signal ?? code}`
      for (const [version, resolve] of this.versions) resolve({ type: 'refused', version, code: 'exit', message: '' })
    })
  }

  private link(socket: Socket, snapshot: Snapshot): void {
    this.socket = socket
    const reader = new FrameReader()
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      for (const message of reader.push(chunk) as WorkerToControl[]) {
        if (message.type === 'hello') this.tell({ type: 'snapshot', snapshot })
        else if (message.type === 'applied' || message.type === 'refused') this.versions.get(message.version)?.(message)
        else if (message.type === 'reply' || message.type === 'failed') this.answers.get(message.id)?.(message)
        else if (message.type === 'need') {
          const names = Object.fromEntries(message.names.map((name) => [name, null]))
          this.version++
          this.tell({ type: 'delta', delta: { baseVersion: this.version - 1, version: this.version, names } })
        }
      }
    })
    this.version = snapshot.version
  }

  private version = 0

  private tell(message: ControlToWorker): void {
    this.socket?.write(encodeFrame(message))
  }

  private async applied(version: number): Promise<void> {
    const message = await this.wait(this.versions, version, `snapshot ${version} applied`)
    if (message.type !== 'applied' || message.problems.length > 0)
      throw new Error(`${JSON.stringify(message)}\n${this.exit ?? ''}\n${this.log()}`)
  }

  private async wait(
    map: Map<number, (message: WorkerToControl) => void>,
    key: number,
    what: string,
  ): Promise<WorkerToControl> {
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<WorkerToControl>((resolve, reject) => {
        map.set(key, resolve)
        timer = setTimeout(
          () => reject(new Error(`${what}: not after ${readyTimeoutMs} ms\n${this.log()}`)),
          readyTimeoutMs,
        )
      })
    } finally {
      clearTimeout(timer)
      map.delete(key)
    }
  }

  /** Sends a change and waits until the worker runs with it. */
  async change(delta: Omit<SnapshotDelta, 'baseVersion' | 'version'>): Promise<void> {
    this.version++
    const applied = this.applied(this.version)
    this.tell({ type: 'delta', delta: { baseVersion: this.version - 1, version: this.version, ...delta } })
    await applied
  }

  async ask(question: WorkerQuestion): Promise<unknown> {
    const id = this.nextQuestion++
    const answer = this.wait(this.answers, id, question.kind)
    this.tell({ type: 'ask', id, question })
    const message = await answer
    if (message.type !== 'reply') throw new Error(JSON.stringify(message))
    return message.body
  }

  /** Sum of a metric over all its samples; undefined when the worker does not have it. */
  async metric(name: string): Promise<number | undefined> {
    const dump = (await this.ask({ kind: 'stats' })) as StatsDump
    return dump.series.find((series) => series.name === name)?.samples.reduce((sum, sample) => sum + sample.value, 0)
  }

  get isRunning(): boolean {
    return this.exit === undefined
  }

  get pid(): number {
    return this.child.pid ?? -1
  }

  /** What it wrote last, for a failed test; at most the last 500 pieces. */
  log(characters = 8000): string {
    return this.output.join('').slice(-characters)
  }

  async stop(): Promise<void> {
    if (this.exit === undefined) {
      const ended = new Promise<void>((resolve) => this.child.once('exit', () => resolve()))
      this.child.kill('SIGKILL')
      await ended
    }
    this.socket?.destroy()
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
    rmSync(this.directory, { recursive: true, force: true })
  }
}
