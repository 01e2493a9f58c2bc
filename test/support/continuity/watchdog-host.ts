/**
 * A watchdog with its process tree in folders of its own, for tests: start it, ask it, kill parts of it, and be sure
 * that nothing is left.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { handoffVersion, maxHandoffFrameBytes } from '../../../contracts/handoff.ts'
import type {
  ChildState,
  GenerationState,
  OperatorReply,
  OperatorRequest,
  Release,
  RestartReport,
  WatchdogState,
} from '../../../contracts/handoff.ts'
import type { Snapshot } from '../../../contracts/snapshot.ts'
import type { RelayTargets } from '../../../contracts/relay-targets.ts'
import type { ServiceManagerDouble } from './service-manager-double.ts'
import { dialFrames } from '../../../native/frame-stream.ts'
import { isRunning, processFacts } from '../../../native/process-facts.ts'
import { freePort } from '../free-port.ts'
import { type Tuning, tuned } from './watchdog-options.ts'
import { transportNodeFlags, transportWords } from '../worker/transport-flags.ts'

const root = join(import.meta.dirname, '../../..')

/**
 * Long enough for a machine that is busy with something else: how fast a process starts is not what tests of a watchdog
 * prove.
 */
export const patientDeadlines = { startMs: 60_000, drainMs: 18_000, stopMs: 2000, adoptMs: 10_000 }
/** Likewise how fast one answers. */
const patientLiveness = { suspectMs: 10_000, deadMs: 30_000 }
/** Likewise for the outcome of a restart: the time of the test ends it. */
const outcomeMs = 110_000

export interface HostOptions {
  readonly workers?: number
  readonly behave?: { readonly worker?: string; readonly control?: string }
  readonly tuning?: Tuning
  readonly environment?: Readonly<Record<string, string>>
  /** For node, in every process. */
  readonly nodeFlags?: readonly string[]
  /** `ulimit -n` of the whole tree. */
  readonly maxOpenFiles?: number
  /** Instead of a folder that the host makes; it must exist. */
  readonly stateDir?: string
  /** Starts it as a service manager does. */
  readonly manager?: ServiceManagerDouble
  /** Real workers run with this snapshot; without it stand-ins run. */
  readonly snapshot?: (host: WatchdogHost) => Snapshot
}

export class WatchdogHost {
  readonly folder = mkdtempSync(join(tmpdir(), 'hm-host-'))
  readonly runDir = join(this.folder, 'run')
  readonly stateDir: string
  httpPort = 0
  tcpPort = 0
  process: ChildProcess | undefined
  readonly lines: string[] = []
  private readonly options: HostOptions
  /** When each process started, by its pid: the system gives a pid again to somebody else. */
  private readonly seen = new Map<number, number>()

  private constructor(options: HostOptions) {
    this.options = options
    this.stateDir = options.stateDir ?? join(this.folder, 'state')
    if (options.stateDir === undefined) mkdirSync(this.stateDir)
  }

  /** Resolves when the watchdog's process is started; what becomes of it is the test's to wait for. */
  static async begin(options: HostOptions = {}): Promise<WatchdogHost> {
    const host = new WatchdogHost(options)
    host.httpPort = await freePort()
    host.tcpPort = await freePort()
    host.startWatchdog()
    return host
  }

  /** Resolves when the first generation serves. */
  static async start(options: HostOptions = {}): Promise<WatchdogHost> {
    const host = await WatchdogHost.begin(options)
    try {
      await host.until((state) => host.serving(state) !== undefined, 'a generation serves', 80_000)
    } catch (error) {
      await host.end()
      throw error
    }
    return host
  }

  /** The process only; `until` waits for more. */
  startWatchdog(): ChildProcess {
    const options = {
      runDir: this.runDir,
      stateDir: this.stateDir,
      release: this.release({ name: 'v1', ...this.options.behave }),
      ...tuned({
        deadlines: patientDeadlines,
        liveness: patientLiveness,
        ...this.options.tuning,
      }),
    }
    const program = [...(this.options.nodeFlags ?? []), join(root, 'watchdog/main.ts'), JSON.stringify(options)]
    const { manager, maxOpenFiles } = this.options
    const limit = maxOpenFiles === undefined ? '' : `ulimit -n ${maxOpenFiles}; `
    // A shell knows its own pid, which LISTEN_PID must be, and becomes the watchdog.
    const [command, words] =
      manager === undefined && limit === ''
        ? [process.execPath, program]
        : ['/bin/sh', ['-c', `${limit}LISTEN_PID=$$ exec "$0" "$@"`, process.execPath, ...program]]
    const child = spawn(command, words, {
      stdio: ['ignore', 'pipe', 'pipe', ...(manager?.descriptors ?? [])],
      env: {
        NODE_COMPILE_CACHE: join(tmpdir(), 'hostmesh-compile-cache'),
        ...process.env,
        ...manager?.environment(),
        ...this.options.environment,
      },
    })
    const read = (bytes: Buffer): void => {
      this.lines.push(
        ...bytes
          .toString()
          .split('\n')
          .filter((line) => line !== ''),
      )
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    this.process = child
    return child
  }

  release(which: {
    readonly name: string
    readonly worker?: string
    readonly control?: string
    readonly workers?: number
    /** Instead of the one that the host was started with. */
    readonly snapshot?: Snapshot
  }): Release {
    const support = join(root, 'test/support/continuity')
    const dirs = ['--run-dir', this.runDir]
    const node = [process.execPath, ...(this.options.nodeFlags ?? [])]
    const workers = which.workers ?? this.options.workers ?? 1
    const snapshot = which.snapshot ?? this.options.snapshot?.(this)
    if (snapshot !== undefined) {
      const file = join(this.folder, `given-snapshot-${which.name.replaceAll(' ', '-')}.json`)
      writeFileSync(file, JSON.stringify(snapshot))
      return {
        name: which.name,
        control: [...node, join(support, 'stand-in-control.ts'), ...dirs, '--snapshot', file],
        worker: [
          ...node,
          ...transportNodeFlags,
          join(root, 'agent/worker/main.ts'),
          ...dirs,
          '--state-dir',
          this.stateDir,
          ...transportWords(),
        ],
        workers,
      }
    }
    return {
      name: which.name,
      control: [...node, join(support, 'stand-in-control.ts'), ...dirs, '--behave', which.control ?? 'well'],
      worker: [
        ...node,
        join(support, 'stand-in-worker.ts'),
        ...dirs,
        '--http',
        String(this.httpPort),
        '--tcp',
        String(this.tcpPort),
        '--behave',
        which.worker ?? 'well',
        '--name',
        which.name,
      ],
      workers,
    }
  }

  async ask(request: OperatorRequest, timeoutMs = 20_000): Promise<OperatorReply> {
    return new Promise<OperatorReply>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${request.type}\n${this.tail()}`)), timeoutMs)
      dialFrames(join(this.runDir, 'watchdog.sock'), maxHandoffFrameBytes, undefined, {
        onMessage: (raw) => {
          const reply = raw as unknown as OperatorReply
          if (reply.type === 'welcome') return
          clearTimeout(timer)
          resolve(reply)
          stream?.close()
        },
        onClose: () => {
          clearTimeout(timer)
          reject(new Error(`the watchdog hung up during ${request.type}`))
        },
      }).then(
        (dialed) => {
          stream = dialed
          dialed.send({ type: 'operator', link: handoffVersion })
          dialed.send(request)
          return undefined
        },
        (error: unknown) => {
          clearTimeout(timer)
          reject(error as Error)
        },
      )
      let stream: Awaited<ReturnType<typeof dialFrames>> | undefined
    })
  }

  async report(request: OperatorRequest): Promise<RestartReport> {
    const reply = await this.ask(request, outcomeMs)
    if (reply.type !== 'outcome') throw new Error(`${request.type}: ${JSON.stringify(reply)}`)
    return reply.report
  }

  reload(wait: 'serving' | 'gone' = 'gone'): Promise<RestartReport> {
    return this.report({ type: 'reload', wait })
  }

  upgrade(release: Release, wait: 'serving' | 'gone' = 'gone'): Promise<RestartReport> {
    return this.report({ type: 'upgrade', release, wait })
  }

  async state(): Promise<WatchdogState> {
    const reply = await this.ask({ type: 'status' })
    if (reply.type !== 'state') throw new Error(JSON.stringify(reply))
    for (const { children } of reply.state.generations) for (const { pid } of children) this.remember(pid)
    return reply.state
  }

  private remember(pid: number): void {
    const facts = this.seen.has(pid) ? undefined : processFacts(pid)
    if (facts !== undefined) this.seen.set(pid, facts.startedAtTicks)
  }

  serving(state: WatchdogState): GenerationState | undefined {
    return state.generations.find(
      (generation) =>
        generation.phase === 'serving' &&
        generation.children.filter((child) => child.role === 'worker' && child.isServing).length ===
          (this.options.workers ?? 1),
    )
  }

  async child(role: 'worker' | 'control', index = 0): Promise<ChildState> {
    const state = await this.state()
    const generation = state.generations.find((one) => one.phase === 'serving')
    const child = generation?.children.find((one) => one.role === role && one.index === index)
    if (child === undefined) throw new Error(`no ${role} ${index} serves\n${this.tail()}`)
    return child
  }

  /** Awaits a condition of the watchdog's own state; the error shows the last log lines. */
  async until(isTrue: (state: WatchdogState) => boolean, what: string, timeoutMs = 30_000): Promise<WatchdogState> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      try {
        const state = await this.state()
        if (isTrue(state)) return state
      } catch {
        // Not there yet, or between two lives.
      }
      if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}\n${this.tail()}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  writeTargets(body: RelayTargets): void {
    const file = { format: 1, checksum: createHash('sha256').update(JSON.stringify(body)).digest('hex'), body }
    const path = join(this.stateDir, 'relay-targets.json')
    writeFileSync(`${path}.new`, JSON.stringify(file))
    renameSync(`${path}.new`, path)
  }

  reportFiles(): RestartReport[] {
    const folder = join(this.stateDir, 'reports')
    return readdirSync(folder)
      .sort()
      .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as RestartReport)
  }

  tail(count = 25): string {
    return this.lines.slice(-count).join('\n')
  }

  /** Stops everything and answers the pids that would not go; the caller expects none. */
  async end(): Promise<number[]> {
    try {
      await this.state()
      await this.ask({ type: 'stop', deadlineMs: 1000 }, 10_000)
    } catch {
      this.process?.kill('SIGKILL')
    }
    if (this.process !== undefined && this.process.exitCode === null && this.process.signalCode === null) {
      const timer = setTimeout(() => this.process?.kill('SIGKILL'), 5000)
      await once(this.process, 'exit')
      clearTimeout(timer)
    }
    const left = [...this.seen].filter(([pid, startedAt]) => isRunning(pid, startedAt)).map(([pid]) => pid)
    for (const pid of left) process.kill(pid, 'SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
    return left
  }
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}
