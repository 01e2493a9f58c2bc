/** One process of a generation, started here or adopted from an earlier watchdog. Its death is seen in both cases. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, readSync, statSync, truncateSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describeError } from '../../contracts/errors.ts'
import type { ChildRole, ProbeAddress, WatchdogToChild } from '../../contracts/handoff.ts'
import type { BatchSender } from '../../native/batch-sender.ts'
import type { FrameStream } from '../../native/frame-stream.ts'
import { isRunning, processFacts, residentBytes } from '../../native/process-facts.ts'

/** Standard error of a child is kept in the run directory so that it outlives both; cut beyond this. */
const maxErrorBytes = 1024 * 1024
const evidenceLines = 12
const maxForwardBytes = 65_536
const adoptedPollMs = 250

export interface ChildRecord {
  readonly role: ChildRole
  readonly index: number
  readonly pid: number
  readonly startedAtTicks: number
}

export interface ChildEnd {
  /** `exit code 3`, `signal SIGKILL`, `gone`. */
  readonly how: string
  readonly isClean: boolean
}

export interface ChildHooks {
  /** Before its end: what it wrote last can still be taken. */
  onLastWords(child: Child): void
  onEnd(child: Child, end: ChildEnd): void
}

export class Child {
  readonly role: ChildRole
  readonly index: number
  readonly pid: number
  readonly startedAtTicks: number
  /** Monotonic ms at which it was started here; -Infinity for an adopted one. */
  readonly startedAt: number
  stream: FrameStream | undefined
  sender: BatchSender | undefined
  probe: ProbeAddress | undefined
  isReady = false
  isServing = false
  isDraining = false
  isDrained = false
  isGone = false
  lagMs = 0
  connections = 0
  /** Of a worker: connections that carried something before its last pong; undefined until it says so. */
  active: number | undefined
  /** Connections given to the successor, as last told. */
  moved = 0
  rssBytes = 0
  waits: readonly string[] = []
  /** Outstanding ping: when it was sent, monotonic ms. */
  askedAt: number | undefined
  pingId = 0
  isProbing = false
  /** Why we killed it, for the report. */
  killedFor: string | undefined
  private readonly errorFile: string
  private forwardedBytes = 0
  private readonly hooks: ChildHooks
  private poll: NodeJS.Timeout | undefined

  private constructor(record: ChildRecord, startedAt: number, errorFile: string, hooks: ChildHooks) {
    this.role = record.role
    this.index = record.index
    this.pid = record.pid
    this.startedAtTicks = record.startedAtTicks
    this.startedAt = startedAt
    this.errorFile = errorFile
    this.hooks = hooks
  }

  /**
   * Starts a process in a session of its own, so that neither our death nor a terminal's signal ends it. One that
   * cannot be started ends at once.
   */
  static start(
    what: { readonly role: ChildRole; readonly index: number; readonly generation: number },
    command: readonly string[],
    runDir: string,
    now: number,
    hooks: ChildHooks,
  ): Child {
    const [program = '', ...rest] = command
    const words = [...rest, '--generation', String(what.generation)]
    if (what.role === 'worker') words.push('--index', String(what.index))
    const errorFile = errorFileOf(runDir, what.role, what.generation, what.index)
    const errors = openErrorFile(errorFile)
    let started: ChildProcess | undefined
    let problem: unknown
    try {
      started = spawn(program, words, { detached: true, stdio: ['ignore', 'inherit', errors ?? 'inherit'] })
    } catch (error) {
      // some reasons are an event (EACCES, EMFILE, ENOENT, …), all others are thrown (ETXTBSY, ENOTDIR, ENOMEM, …)
      problem = error
    }
    if (errors !== undefined) closeSync(errors)
    const pid = started?.pid ?? -1
    const record = { role: what.role, index: what.index, pid, startedAtTicks: processFacts(pid)?.startedAtTicks ?? -1 }
    const child = new Child(record, now, errorFile, hooks)
    const fail = (error: unknown): void =>
      child.end({ how: `could not be started: ${describeError(error)}`, isClean: false })
    // as Node tells of the other reasons: when whoever starts it knows the child
    if (started === undefined) process.nextTick(fail, problem)
    started?.once('error', fail)
    started?.once('exit', (code, signal) => {
      child.end({ how: signal === null ? `exit code ${code}` : `signal ${signal}`, isClean: code === 0 })
    })
    return child
  }

  /** For people. */
  get name(): string {
    return this.role === 'control' ? 'control' : `worker ${this.index}`
  }

  /** A process that an earlier watchdog started; undefined when it is not running any more. */
  static adopt(record: ChildRecord, generation: number, runDir: string, hooks: ChildHooks): Child | undefined {
    if (!isRunning(record.pid, record.startedAtTicks)) return undefined
    const errorFile = errorFileOf(runDir, record.role, generation, record.index)
    const child = new Child(record, Number.NEGATIVE_INFINITY, errorFile, hooks)
    child.poll = setInterval(() => child.look(), adoptedPollMs)
    // What it wrote before, the watchdog before us has shown.
    child.forwardedBytes = sizeOf(errorFile)
    return child
  }

  /** For an adopted process: sees at once that it is gone. */
  look(): void {
    if (this.poll !== undefined && !isRunning(this.pid, this.startedAtTicks)) this.end({ how: 'gone', isClean: false })
  }

  send(message: WatchdogToChild): void {
    this.stream?.send(message)
  }

  kill(signal: NodeJS.Signals, why?: string): void {
    if (this.isGone || this.pid <= 0) return
    if (why !== undefined) this.killedFor = why
    // The pid cannot have been reused: a child of ours stays a zombie until its exit is seen, an adopted one is
    // compared by start time.
    if (this.poll !== undefined && !isRunning(this.pid, this.startedAtTicks)) return
    try {
      process.kill(this.pid, signal)
    } catch {
      // Gone in this moment; its end is reported as usual.
    }
  }

  measure(): void {
    this.rssBytes = residentBytes(this.pid) ?? 0
  }

  /**
   * What it wrote to standard error since the last call, to be passed on to our own; bounded, so that a chatterbox
   * cannot hold us up.
   */
  takeErrors(): Buffer | undefined {
    try {
      const { size } = statSync(this.errorFile)
      if (size <= this.forwardedBytes) return undefined
      const bytes = readPart(this.errorFile, this.forwardedBytes, Math.min(size - this.forwardedBytes, maxForwardBytes))
      this.forwardedBytes += bytes.length
      if (this.forwardedBytes > maxErrorBytes) {
        truncateSync(this.errorFile, 0)
        this.forwardedBytes = 0
      }
      return bytes
    } catch {
      return undefined
    }
  }

  /** Last lines of its standard error. */
  evidence(): string[] {
    try {
      return readFileSync(this.errorFile, 'utf8')
        .trimEnd()
        .split('\n')
        .slice(-evidenceLines)
        .filter((line) => line !== '')
        .map((line) => line.slice(0, 400))
    } catch {
      return []
    }
  }

  record(): ChildRecord {
    return { role: this.role, index: this.index, pid: this.pid, startedAtTicks: this.startedAtTicks }
  }

  private end(end: ChildEnd): void {
    if (this.isGone) return
    this.isGone = true
    this.isServing = false
    clearInterval(this.poll)
    this.stream?.close()
    this.stream = undefined
    this.sender?.close()
    this.hooks.onLastWords(this)
    this.hooks.onEnd(this, end)
    try {
      unlinkSync(this.errorFile)
    } catch {
      // Removed with the directory.
    }
  }
}

function errorFileOf(runDir: string, role: ChildRole, generation: number, index: number): string {
  return join(runDir, role === 'control' ? `control-${generation}.stderr` : `worker-${generation}-${index}.stderr`)
}

/** undefined when the disk is full or no descriptor is left: the process is worth more than its evidence. */
function openErrorFile(path: string): number | undefined {
  try {
    return openSync(path, 'a', 0o600)
  } catch {
    return undefined
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}

function readPart(path: string, from: number, length: number): Buffer {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.allocUnsafe(length)
    return bytes.subarray(0, readSync(file, bytes, 0, length, from))
  } finally {
    closeSync(file)
  }
}
