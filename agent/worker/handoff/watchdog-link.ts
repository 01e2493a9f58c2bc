/**
 * A worker's side of continuity: listening sockets that outlive it, and live connections that go on in its successor
 * (docs/continuity.md).
 *
 * Order in `start.ts`: `connectWatchdog` → load the snapshot from control → open the probe listener → `ready` → await
 * `permission` → listen on every listener (`takeListeners` first, bind what is missing, `deposit` it) → `serving`.
 * Everything after that comes through the hooks.
 */
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { MeshError } from '../../../contracts/errors.ts'
import { handoffVersion, maxDescriptorsPerBatch } from '../../../contracts/handoff.ts'
import type {
  ChildToWatchdog,
  DescriptorBatch,
  ProbeAddress,
  ShardName,
  WatchdogToChild,
} from '../../../contracts/handoff.ts'
import { runFiles } from '../../../contracts/run-directory.ts'
import { BatchSender } from '../../../native/batch-sender.ts'
import { loadNative } from '../../../native/descriptors.ts'
import type { DescriptorPort, Native } from '../../../native/descriptors.ts'
import { DialedLink, joinTries, nobodyAnswers, welcomeTimeoutMs } from '../../../native/dialed-link.ts'
import type { FrameStream } from '../../../native/frame-stream.ts'
import { ConnectionBalancer } from './connection-balancer.ts'
import { Drain } from './drain.ts'
import type { HandoffDeps, HeldListener } from './handoff-deps.ts'
import { Takeover } from './takeover.ts'

export interface WatchdogLink {
  /**
   * False in the place of a watchdog that nobody started (`hostmesh agent`): bind everything, `permission` is given at
   * once.
   */
  readonly isSupervised: boolean
  /**
   * Sockets held for this worker's shards, each call empties the list. With `shard === index` there is nothing to bind
   * for this name.
   */
  takeListeners(): HeldListener[]
  /**
   * Gives the watchdog a copy of a socket that this worker bound and listens on. Never throws and never waits; without
   * a watchdog it does nothing.
   */
  deposit(shard: ShardName, descriptor: number): void
  /** The listener left the configuration: the watchdog forgets its copy. */
  withdraw(shard: ShardName): void
  /** Loaded; `probe` is where this worker answers `probeRequest` through its own accept, codec and reply code. */
  ready(probe: ProbeAddress): void
  /** Resolves when this worker may accept. */
  readonly permission: Promise<void>
  /** Accepting on all listeners. */
  serving(listeners: number): void
  /** Closes the sockets of the link; the watchdog sees a dead worker unless it was told to drain. */
  close(): void
}

/** What a worker that no watchdog knows gives its connections, ms. */
const orphanDrainMs = 10_000
const lagPeriodMs = 500
const progressPeriodMs = 500

/**
 * Dials the watchdog of the run directory and takes what it holds for this worker.
 *
 * Errors: E_HANDOFF_REFUSED or E_HANDOFF_VERSION when the watchdog does not want this worker (the process should exit
 * 1); E_HANDOFF_TIMEOUT when none answers `tries` dials: who goes on alone would accept beside what the next one
 * starts, and nobody would ever end it; E_RUN_DIRECTORY when the sockets of this worker cannot be made. One that says
 * nothing for `welcomeTimeoutMs` is not waited for any longer: the worker starts with what it has.
 */
export async function connectWatchdog(deps: HandoffDeps, tries = joinTries): Promise<WatchdogLink> {
  const { native, problem } = loadNative()
  if (native === undefined)
    deps.log('warn', 'descriptors cannot be passed; restarts will close connections', { problem })
  const link = new DialedWatchdog(deps, native)
  await link.start(tries)
  return link
}

function keyOf(shard: ShardName): string {
  return `${shard.name}#${shard.shard}@${shard.address}:${shard.port}`
}

class DialedWatchdog implements WatchdogLink {
  isSupervised = false
  readonly permission: Promise<void>
  private readonly deps: HandoffDeps
  private readonly native: Native | undefined
  private readonly port: DescriptorPort | undefined
  private readonly dialed: DialedLink
  private sender: BatchSender | undefined
  private takeover: Takeover | undefined
  private drain: Drain | undefined
  private balancer: ConnectionBalancer | undefined
  private taken: HeldListener[] = []
  /** Our copy of each listening socket, to give to a watchdog that has lost its own. */
  private readonly copies = new Map<string, { readonly shard: ShardName; readonly descriptor: number }>()
  private probe: ProbeAddress | undefined
  private isReady = false
  private isServing = false
  private permit: () => void = () => {}
  private batchesToCome = 0
  private watchdogPid = 0
  private lagMs = 0
  private lagTimer: NodeJS.Timeout | undefined
  private progressTimer: NodeJS.Timeout | undefined

  constructor(deps: HandoffDeps, native: Native | undefined) {
    this.deps = deps
    this.native = native
    this.permission = new Promise((resolve) => {
      this.permit = resolve
    })
    this.port = native?.openPort(join(deps.runDir, runFiles.workerDescriptors(deps.generation, deps.index)))
    this.dialed = new DialedLink(join(deps.runDir, runFiles.watchdog), native, {
      onOpen: (stream) => this.greet(stream),
      onMessage: (message) => this.receive(message as unknown as WatchdogToChild),
      onLost: () => {
        this.sender?.close()
        this.sender = undefined
        deps.log('warn', 'the watchdog is gone; this worker serves on and waits for a new one')
      },
    })
  }

  async start(tries: number): Promise<void> {
    const joined = await this.dialed.join(tries)
    if (joined === 'alone') {
      this.close()
      throw nobodyAnswers(this.deps.runDir)
    }
    this.isSupervised = true
    if (joined === 'silent') {
      this.deps.log(
        'warn',
        `the watchdog did not answer in ${welcomeTimeoutMs} ms; starting with ${this.taken.length} held listeners`,
      )
    }
    if (this.port !== undefined) {
      this.takeover = new Takeover(this.deps, this.native, this.port)
      await this.takeover.listen()
      if (this.native !== undefined) this.balancer = new ConnectionBalancer(this.deps, this.native, this.port)
    }
    let expected = performance.now() + lagPeriodMs
    this.lagTimer = setInterval(() => {
      const now = performance.now()
      this.lagMs = Math.max(this.lagMs, now - expected)
      expected = now + lagPeriodMs
    }, lagPeriodMs)
    this.lagTimer.unref()
  }

  takeListeners(): HeldListener[] {
    const taken = this.taken
    this.taken = []
    return taken
  }

  deposit(shard: ShardName, descriptor: number): void {
    if (!this.isSupervised || this.native === undefined) return
    this.keepCopy(shard, descriptor)
    this.give([shard])
  }

  withdraw(shard: ShardName): void {
    this.dropCopy(shard)
    this.send({ type: 'withdraw', shards: [shard] })
  }

  ready(probe: ProbeAddress): void {
    // The next generation starts faster when Node finds its compiled code; by itself it writes that only at a clean
    // exit. The first start of a version writes all of it (0.2 to 0.7 s of processor time, measured), the others next
    // to nothing: before anybody counts on this process, since every caller would wait for it.
    flushCompileCache()
    this.probe = probe
    this.isReady = true
    this.send({ type: 'ready', probe })
  }

  serving(listeners: number): void {
    this.isServing = true
    this.send({ type: 'serving', listeners })
  }

  close(): void {
    clearInterval(this.lagTimer)
    clearInterval(this.progressTimer)
    this.sender?.close()
    this.dialed.close()
    this.takeover?.close()
    this.port?.close()
    this.dropAllCopies()
  }

  private send(message: ChildToWatchdog): void {
    this.dialed.send(message)
  }

  private greet(stream: FrameStream): void {
    const { deps } = this
    this.sender?.close()
    this.sender =
      this.port === undefined ? undefined : new BatchSender(this.port, join(deps.runDir, runFiles.watchdogDescriptors))
    const hello: ChildToWatchdog = {
      type: 'hello',
      link: handoffVersion,
      role: 'worker',
      generation: deps.generation,
      index: deps.index,
      pid: process.pid,
      listening: this.isServing ? [...this.copies.values()].map((copy) => copy.shard) : [],
      isReady: this.isReady,
      isDraining: this.drain !== undefined,
      probe: this.probe,
    }
    stream.send(hello)
  }

  private receive(message: WatchdogToChild): void {
    const { deps } = this
    switch (message.type) {
      case 'welcome':
        this.watchdogPid = message.watchdogPid
        this.batchesToCome = message.batches
        this.give(message.wanted)
        if (this.batchesToCome === 0) this.dialed.welcome()
        return
      case 'refused':
        deps.log('error', `the watchdog refuses this worker: ${message.message}`, { code: message.code })
        this.dialed.refuse(new MeshError(message.code, message.message))
        // a watchdog that came later does not know this process: nobody would ever end it, and it accepts
        if (this.isSupervised && message.code === 'E_HANDOFF_REFUSED')
          this.startDrain({ successor: undefined, deadlineMs: orphanDrainMs })
        return
      case 'handover':
        this.receiveListeners(message)
        return
      case 'uncover':
        for (const shard of message.shards) {
          this.dropCopy(shard)
          deps.onUncover(shard)
        }
        return
      case 'received':
        this.sender?.acknowledge(message.batch)
        return
      case 'serve':
        this.permit()
        return
      case 'ping':
        this.answerPing(message)
        return
      case 'drain':
        this.startDrain({ successor: message.successor, deadlineMs: message.deadlineMs })
        return
      case 'stop':
        this.startDrain({ successor: undefined, deadlineMs: message.deadlineMs })
        return
      case 'reopen-logs':
        this.deps.reopenLogs?.()
        return
      case 'lead':
      case 'retire':
      case 'state':
    }
  }

  private answerPing({ canary, id, wantsSignals, workers }: Extract<WatchdogToChild, { type: 'ping' }>): void {
    const { connections } = this.deps
    const active = connections.takeActive()
    this.send({
      type: 'pong',
      id,
      lagMs: Math.round(this.lagMs),
      connections: connections.size,
      active: active.length,
      ...(wantsSignals === true && { signals: this.deps.signals() }),
    })
    this.lagMs = 0
    this.balancer?.look(workers, active, canary)
  }

  private receiveListeners(message: DescriptorBatch & { readonly why: 'start' | 'cover' }): void {
    const descriptors = this.port?.take(this.watchdogPid, message.batch) ?? []
    if (descriptors.length !== message.shards.length) {
      this.deps.log('error', `listeners of batch ${message.batch} did not arrive; binding them instead`, {
        expected: message.shards.length,
        found: descriptors.length,
      })
      for (const descriptor of descriptors) this.native?.close(descriptor)
    } else {
      message.shards.forEach((shard, position) => {
        const held: HeldListener = { ...shard, descriptor: descriptors[position]! }
        this.keepCopy(shard, held.descriptor)
        if (message.why === 'start') this.taken.push(held)
        else this.deps.onCover(held)
      })
    }
    this.send({ type: 'received', batch: message.batch })
    if (message.why === 'start' && this.batchesToCome > 0 && --this.batchesToCome === 0) this.dialed.welcome()
  }

  private startDrain(order: {
    readonly successor: { readonly generation: number; readonly index: number } | undefined
    readonly deadlineMs: number
  }): void {
    if (this.drain !== undefined) {
      if (order.successor !== undefined) this.drain.redirect(order.successor)
      return
    }
    const { deps } = this
    deps.stopAccepting()
    this.dropAllCopies()
    this.takeover?.refuseNeighbours()
    this.balancer?.stop()
    const drain = new Drain(deps, this.native, this.port, order, this.takeover, this.balancer)
    this.drain = drain
    const tell = (): void => this.send({ type: 'progress', left: deps.connections.size, moved: drain.moved })
    tell()
    this.progressTimer = setInterval(tell, progressPeriodMs)
    this.progressTimer.unref()
    void drain.run().then((outcome) => {
      clearInterval(this.progressTimer)
      this.send({ type: 'drained', counts: outcome.counts, durationMs: outcome.durationMs })
      this.close()
      deps.onEnd(outcome.counts)
    })
  }

  /** Gives the watchdog copies of the shards that we have. */
  private give(shards: readonly ShardName[]): void {
    const found = shards.map((shard) => this.copies.get(keyOf(shard))).filter((copy) => copy !== undefined)
    for (let at = 0; at < found.length; at += maxDescriptorsPerBatch) {
      const part = found.slice(at, at + maxDescriptorsPerBatch)
      void this.sender?.send(
        part.map((copy) => copy.descriptor),
        (batch) => this.send({ type: 'deposit', batch, shards: part.map((copy) => copy.shard) }),
      )
    }
  }

  private keepCopy(shard: ShardName, descriptor: number): void {
    this.dropCopy(shard)
    try {
      this.copies.set(keyOf(shard), { shard, descriptor: this.native!.duplicate(descriptor) })
    } catch (error) {
      this.deps.log('error', `${shard.name}: no copy for the watchdog: ${(error as Error).message}`)
    }
  }

  private dropCopy(shard: ShardName): void {
    const copy = this.copies.get(keyOf(shard))
    if (copy === undefined) return
    this.copies.delete(keyOf(shard))
    this.native?.close(copy.descriptor)
  }

  private dropAllCopies(): void {
    for (const copy of this.copies.values()) this.native?.close(copy.descriptor)
    this.copies.clear()
  }
}
