/**
 * Control's side of continuity: whether this generation leads, and what the watchdog knows (docs/continuity.md).
 *
 * Only a leading control registers applications, owns the admin socket and the admin port, and writes the state
 * directory. During an upgrade the new control loads and compiles while the old one still leads; two generations never
 * register or deregister at the same time.
 */
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { MeshError } from '../../../contracts/errors.ts'
import { handoffVersion, maxHandoffFrameBytes } from '../../../contracts/handoff.ts'
import type {
  ChildToWatchdog,
  OperatorReply,
  OperatorRequest,
  WatchdogState,
  WatchdogToChild,
} from '../../../contracts/handoff.ts'
import { runFiles } from '../../../contracts/run-directory.ts'
import { loadNative } from '../../../native/descriptors.ts'
import type { Native } from '../../../native/descriptors.ts'
import { DialedLink, joinTries, nobodyAnswers } from '../../../native/dialed-link.ts'
import { dialFrames } from '../../../native/frame-stream.ts'
import type { FrameStream } from '../../../native/frame-stream.ts'

export interface WatchdogLinkDeps {
  readonly runDir: string
  readonly generation: number
  /** Nobody supervises, and where no watchdog answers this control leads at once. */
  readonly isAlone: boolean
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, unknown>>) => void
  /**
   * This generation leads from now on. Called at most once, maybe before `connectWatchdog` resolves.
   * @param isSupervised the watchdog says so; false: there is none
   */
  onLead(isSupervised: boolean): void
  /** A successor leads: keep answering this generation's workers, touch nothing shared. Called at most once. */
  onRetire(): void
  /** The watchdog's newest word. */
  onState(state: WatchdogState): void
  /** Asked to leave: deregister only when `isHostStopping`. Exit 0 when done. */
  onStop(order: { readonly isHostStopping: boolean; readonly deadlineMs: number }): void
}

export interface WatchdogLink {
  readonly isSupervised: boolean
  readonly isLeading: boolean
  /** Snapshot compiled, control socket listening. */
  ready(): void
  /** By name what readiness still waits for; shown by `hostmesh status`. */
  pending(waits: readonly string[]): void
  /** Newest word of the watchdog, for `/generations` and `/fallback`; undefined without a watchdog. */
  state(): WatchdogState | undefined
  /** For admin mutations (reload, rollback, drills). Rejects with E_HANDOFF_TIMEOUT or E_HANDOFF_REFUSED. */
  ask(request: OperatorRequest, timeoutMs: number): Promise<OperatorReply>
  close(): void
}

/** Requests of operators that wait for the watchdog at the same time. */
const maxQuestions = 64
/** What a control that no watchdog knows takes to end, ms. */
const orphanStopMs = 3000

/**
 * Dials the watchdog of the run directory.
 * Errors: E_HANDOFF_REFUSED or E_HANDOFF_VERSION when the watchdog does not want this process (exit 1);
 * E_HANDOFF_TIMEOUT when none answers `tries` dials of a control that is not alone.
 */
export async function connectWatchdog(deps: WatchdogLinkDeps, tries = joinTries): Promise<WatchdogLink> {
  const { native } = loadNative()
  const link = new DialedWatchdog(deps, native)
  await link.start(tries)
  return link
}

class DialedWatchdog implements WatchdogLink {
  isSupervised = false
  isLeading = false
  private readonly deps: WatchdogLinkDeps
  private readonly native: Native | undefined
  private readonly dialed: DialedLink
  private newest: WatchdogState | undefined
  private isReady = false
  private hasRetired = false
  private waits: readonly string[] = []
  private questions = 0

  constructor(deps: WatchdogLinkDeps, native: Native | undefined) {
    this.deps = deps
    this.native = native
    this.dialed = new DialedLink(join(deps.runDir, runFiles.watchdog), native, {
      onOpen: (stream) => this.greet(stream),
      onMessage: (message) => this.receive(message as unknown as WatchdogToChild),
      onLost: () => deps.log('warn', 'the watchdog is gone; control carries on and waits for a new one'),
    })
  }

  async start(tries: number): Promise<void> {
    const { isAlone, runDir } = this.deps
    this.isSupervised = (await this.dialed.join(isAlone ? 1 : tries)) !== 'alone'
    if (this.isSupervised) return
    if (!isAlone) throw nobodyAnswers(runDir)
    this.lead(false)
  }

  ready(): void {
    // The next generation starts faster when Node finds its compiled code; by itself it writes that only at a clean
    // exit. The first start of a version writes all of it (25 to 300 ms, measured), the others next to nothing: before
    // anybody counts on this process, since a change of a registry would wait for it.
    flushCompileCache()
    this.isReady = true
    this.send({ type: 'ready', probe: undefined })
  }

  pending(waits: readonly string[]): void {
    this.waits = waits
    this.send({ type: 'pending', waits })
  }

  state(): WatchdogState | undefined {
    return this.newest
  }

  ask(request: OperatorRequest, timeoutMs: number): Promise<OperatorReply> {
    const path = join(this.deps.runDir, runFiles.watchdog)
    if (this.questions >= maxQuestions) {
      return Promise.reject(
        new MeshError('E_HANDOFF_REFUSED', `${maxQuestions} requests to the watchdog are under way`),
      )
    }
    this.questions++
    return new Promise<OperatorReply>((resolve, reject) => {
      let stream: FrameStream | undefined
      const timer = setTimeout(() => {
        stream?.close()
        reject(new MeshError('E_HANDOFF_TIMEOUT', `${path}: no answer to ${request.type} after ${timeoutMs} ms`))
      }, timeoutMs)
      dialFrames(path, maxHandoffFrameBytes, this.native, {
        onMessage: (raw) => {
          const reply = raw as unknown as OperatorReply
          if (reply.type === 'welcome') {
            stream?.send(request)
            return
          }
          clearTimeout(timer)
          stream?.close()
          if (reply.type === 'refused') reject(new MeshError(reply.code, reply.message))
          else resolve(reply)
        },
        onClose: () => {
          clearTimeout(timer)
          reject(
            new MeshError('E_HANDOFF_REFUSED', `${path}: the watchdog closed the connection during ${request.type}`),
          )
        },
      }).then(
        (dialed) => {
          stream = dialed
          dialed.send({ type: 'operator', link: handoffVersion })
          return undefined
        },
        (cause: unknown) => {
          clearTimeout(timer)
          reject(new MeshError('E_HANDOFF_REFUSED', `${path}: no watchdog answers`, { cause }))
        },
      )
    }).finally(() => {
      this.questions--
    })
  }

  close(): void {
    this.dialed.close()
  }

  private send(message: ChildToWatchdog): void {
    this.dialed.send(message)
  }

  private greet(stream: FrameStream): void {
    const hello: ChildToWatchdog = {
      type: 'hello',
      link: handoffVersion,
      role: 'control',
      generation: this.deps.generation,
      index: 0,
      pid: process.pid,
      listening: [],
      isReady: this.isReady,
      isDraining: this.hasRetired,
      probe: undefined,
    }
    stream.send(hello)
    if (!this.isReady && this.waits.length > 0) stream.send({ type: 'pending', waits: this.waits })
  }

  private receive(message: WatchdogToChild): void {
    switch (message.type) {
      case 'welcome':
        this.dialed.welcome()
        return
      case 'refused':
        this.dialed.refuse(new MeshError(message.code, message.message))
        if (this.isSupervised && message.code === 'E_HANDOFF_REFUSED') this.leave(message.message)
        return
      case 'lead':
        this.lead(true)
        return
      case 'retire':
        if (this.hasRetired) return
        this.hasRetired = true
        this.isLeading = false
        this.deps.onRetire()
        return
      case 'ping':
        this.send({ type: 'pong', id: message.id, lagMs: 0, connections: 0 })
        return
      case 'state':
        this.newest = message.state
        this.deps.onState(message.state)
        return
      case 'stop':
        this.deps.onStop({ isHostStopping: message.isHostStopping, deadlineMs: message.deadlineMs })
        return
      case 'reopen-logs':
      case 'drain':
      case 'handover':
      case 'received':
      case 'serve':
      case 'uncover':
    }
  }

  /** A watchdog that came later does not know this process: nobody would ever end it. */
  private leave(why: string): void {
    this.deps.log('error', `the watchdog refuses this control, which ends: ${why}`)
    this.close()
    this.deps.onStop({ isHostStopping: false, deadlineMs: orphanStopMs })
  }

  private lead(isSupervised: boolean): void {
    if (this.isLeading || this.hasRetired) return
    this.isLeading = true
    this.deps.onLead(isSupervised)
  }
}
