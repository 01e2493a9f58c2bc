/** Wires the parts of the watchdog to one process tree, and to the messages of its children. */
import { join } from 'node:path'
import { describeError } from '../../contracts/errors.ts'
import { relayListenerName } from '../../contracts/handoff.ts'
import type {
  ChildToWatchdog,
  GenerationState,
  RestartReport,
  WatchdogState,
  WatchdogToChild,
} from '../../contracts/handoff.ts'
import { runFiles } from '../../contracts/run-directory.ts'
import type { Native } from '../../native/descriptors.ts'
import { WatchdogSocket } from '../handoff/watchdog-socket.ts'
import { OperatorDesk } from '../handoff/operator.ts'
import { Replacement } from '../handoff/replacement.ts'
import type { Reports } from '../handoff/reports.ts'
import { Retirement } from '../handoff/retirement.ts'
import { Transfer } from '../handoff/transfer.ts'
import type { TransferDeps } from '../handoff/transfer.ts'
import { TrialShards } from '../handoff/trial-shards.ts'
import type { Log } from '../log.ts'
import type { WatchdogOptions } from '../options.ts'
import type { FaceRelay } from '../relay/face-relay.ts'
import type { Relay } from '../relay/relay.ts'
import { adoptFrom } from './adoption.ts'
import type { Child } from './child.ts'
import type { Generation, GenerationDeps } from './generation.ts'
import { Liveness } from './liveness.ts'
import { Recovery } from './recovery.ts'
import { readRunRecord, writeRunRecord } from './run-record.ts'
import { ProcessTree } from './tree.ts'

const publishPauseMs = 200
const errorPeriodMs = 2000

export interface SupervisorDeps {
  readonly options: WatchdogOptions
  readonly native: Native
  readonly transfer: Omit<TransferDeps, 'log' | 'native' | 'runDir'>
  /** `on`, or why descriptors cannot be passed. */
  readonly handover: string
  readonly relay: Relay
  readonly faceRelay: Pick<FaceRelay, 'expectControl' | 'close' | 'state'>
  readonly reports: Reports
  readonly log: Log
  /** Monotonic and epoch ms. */
  readonly now: () => number
  readonly wallClock: () => number
  /** What a child wrote to standard error. */
  showErrors(bytes: Buffer): void
  /** A generation serves: for the service manager. */
  onServing(text: string): void
  /** Everything has stopped. */
  onStopped(): void
}

export class Supervisor {
  readonly tree = new ProcessTree()
  readonly desk: OperatorDesk
  private readonly deps: SupervisorDeps
  private readonly transfer: Transfer
  private readonly trialShards: TrialShards
  private readonly retirement: Retirement
  private readonly replacement: Replacement
  private readonly recovery: Recovery
  private readonly liveness: Liveness
  private readonly socket: WatchdogSocket
  private readonly generationDeps: GenerationDeps
  private readonly startedAt: number
  private isAdopted = false
  private stopOrder: Extract<WatchdogToChild, { type: 'stop' }> | undefined
  private publishTimer: NodeJS.Timeout | undefined
  private publishedAt = Number.NEGATIVE_INFINITY
  private errorTimer: NodeJS.Timeout | undefined

  constructor(deps: SupervisorDeps) {
    this.deps = deps
    const { options, native, log, now, wallClock, relay, reports } = deps
    const { tree } = this
    this.startedAt = wallClock()
    const onChange = (): void => this.publish()
    this.generationDeps = {
      runDir: options.runDir,
      now,
      restarts: options.restarts,
      onChildEnd: (generation, child, end) => {
        // Short of descriptors: what was kept back for this moment lets the next attempt succeed.
        if (/\b(EMFILE|ENFILE)\b/.test(end.how)) deps.transfer.reserve.release()
        this.recovery.onChildEnd(generation, child, end)
      },
      onErrorText: (child) => this.showErrors(child),
      onChange,
      onRecord: () => this.writeRecord(),
    }
    this.transfer = new Transfer({ ...deps.transfer, native, log, runDir: options.runDir })
    this.trialShards = new TrialShards(tree, deps.transfer.held)
    this.retirement = new Retirement({ tree, deadlines: options.deadlines, bounds: options.bounds, log, onChange })
    this.recovery = new Recovery({
      options,
      tree,
      transfer: this.transfer,
      relay,
      replacement: () => this.replacement,
      log,
      now,
    })
    this.replacement = new Replacement({
      tree,
      generation: this.generationDeps,
      deadlines: options.deadlines,
      retirement: this.retirement,
      reports,
      relay,
      log,
      now,
      wallClock,
      onServing: (generation) => {
        this.trialShards.onServing()
        relay.stop()
        deps.onServing(`generation ${generation.number} serves`)
        this.publish()
      },
      onGivenBack: () => {
        this.trialShards.onFailed()
        this.recovery.keepAccepting()
      },
    })
    this.liveness = new Liveness({
      options: options.liveness,
      maxChildBytes: options.bounds.maxChildBytes,
      now,
      generations: () => tree.generations,
      canary: () => this.tree.canary,
      onSignals: (child, signals) => {
        this.tree.canary?.hear(child, signals)
        this.tree.next?.touch()
      },
      onSuspect: (generation, child) => this.recovery.onSuspect(generation, child),
      onAnswerAgain: (generation, child) => this.recovery.onAnswerAgain(generation, child),
      onHang: (child, problem) => this.recovery.onHang(child, problem),
      onDeaf: (generation, problem) => this.recovery.onDeaf(generation, problem),
      onUnhealthy: (generation, problem) => this.recovery.onUnhealthy(generation, problem),
    })
    this.desk = new OperatorDesk({
      tree,
      replacement: this.replacement,
      log,
      state: () => this.state(),
      stop: (deadlineMs) => this.stop(deadlineMs),
      cutCenters: (forMs) => deps.relay.cutCenters(forMs),
    })
    this.socket = new WatchdogSocket({
      native,
      tree,
      log,
      onChild: (generation, child, hello) => this.onHello(generation, child, hello),
      onChildMessage: (generation, child, message) => this.onMessage(generation, child, message),
      onChildLost: (child) => child.look(),
      onOperator: (request, reply) => this.desk.answer(request, reply),
    })
  }

  /** Adopts what runs, or starts the first generation. Resolves when its socket answers; serving comes later. */
  async start(): Promise<void> {
    const { options, log } = this.deps
    const record = readRunRecord(options.runDir)
    if (record !== undefined) {
      this.isAdopted = adoptFrom(record, { tree: this.tree, generation: this.generationDeps, log })
    }
    await this.socket.open(join(options.runDir, runFiles.watchdog))
    this.liveness.start()
    this.errorTimer = setInterval(() => {
      for (const generation of this.tree.generations) for (const child of generation.living) this.showErrors(child)
    }, errorPeriodMs)
    this.publish()
    for (const draining of this.tree.draining) this.finishAdopted(draining)
    if (this.isAdopted) {
      void this.awaitAdopted()
    } else {
      this.recovery
        .startFromNothing(options.release)
        .catch((error: unknown) => log('error', `start: ${describeError(error)}`))
    }
  }

  async stop(deadlineMs: number): Promise<void> {
    const { tree, deps } = this
    if (tree.isStopping) return
    tree.isStopping = true
    deps.log('info', `stopping: children get ${deadlineMs} ms`)
    this.recovery.stop()
    this.liveness.stop()
    deps.relay.stop()
    deps.faceRelay.close()
    const { generations } = tree
    this.stopOrder = { type: 'stop', deadlineMs, isHostStopping: true }
    for (const generation of generations) for (const child of generation.living) child.send(this.stopOrder)
    this.leaveSockets()
    const isEmpty = async (ms: number): Promise<void> => {
      await Promise.all(generations.map((one) => one.waitFor(() => one.living.length === 0, ms)))
    }
    await isEmpty(deadlineMs + 500)
    for (const generation of generations) generation.killAll('did not stop in time')
    await isEmpty(2000)
    deps.relay.close()
    clearTimeout(this.publishTimer)
    clearInterval(this.errorTimer)
    // An answer to the operator who asked for this goes out first.
    setImmediate(() => {
      this.socket.close()
      deps.onStopped()
    })
  }

  /**
   * Nobody accepts any more: who is refused can go elsewhere, who waits in a queue cannot. systemd's copies stay, so
   * that a restart under it keeps its callers waiting for the next start; a center's port leaves there too, because its
   * callers have other centers and the direct tier.
   */
  private leaveSockets(): void {
    const { held } = this.deps.transfer
    for (const { shard } of held.all()) if (shard.name === relayListenerName) held.drop(shard)
    held.closeAll()
  }

  /** Of every generation: the old one still writes what it drains. */
  reopenLogs(): void {
    for (const generation of this.tree.generations)
      for (const child of generation.living) if (child.role === 'worker') child.send({ type: 'reopen-logs' })
  }

  /** Whether a control answers Nacos clients, or will as soon as it may. */
  get hasControl(): boolean {
    return this.tree.generations.some(
      ({ phase, living }) => phase !== 'draining' && living.some((child) => child.role === 'control' && child.isReady),
    )
  }

  state(): WatchdogState {
    const { deps, tree } = this
    return {
      pid: process.pid,
      startedAt: this.startedAt,
      isAdopted: this.isAdopted,
      handover: deps.handover,
      generations: tree.generations.map((generation) => this.stateOf(generation)),
      heldShards: deps.transfer.held.size,
      relay: { ...deps.relay.state(), nacosFace: deps.faceRelay.state() },
      reports: deps.reports.list(),
    }
  }

  private stateOf(generation: Generation): GenerationState {
    const { canary } = this.tree
    const isTried = canary?.number === generation.number
    return isTried ? { ...generation.state(), canary: canary.report() } : generation.state()
  }

  private onHello(generation: Generation, child: Child, hello: Extract<ChildToWatchdog, { type: 'hello' }>): void {
    child.isReady = hello.isReady
    child.isDraining = hello.isDraining
    child.probe = hello.probe
    child.isServing = hello.listening.length > 0 && !hello.isDraining
    this.transfer.welcome(generation, child, hello.listening)
    // It was still starting when the others were told.
    if (this.stopOrder !== undefined) child.send(this.stopOrder)
    if (child.role === 'control') {
      if (generation === this.tree.current && generation.phase === 'serving') {
        this.deps.faceRelay.expectControl()
        child.send({ type: 'lead' })
      }
      if (generation.phase === 'draining') child.send({ type: 'retire' })
    }
    const { current } = this.tree
    // whether it was told or not: the one it was told of may be dead, and to the same one an order changes nothing
    const isLeaving = generation.phase === 'draining' && child.role === 'worker'
    if (isLeaving && current !== undefined) this.retirement.order(child, current)
    if (child.isServing) this.recovery.keepAccepting()
    else if (child.isReady) void this.recovery.onReady(generation, child)
    generation.touch()
  }

  private onMessage(generation: Generation, child: Child, message: ChildToWatchdog): void {
    switch (message.type) {
      case 'deposit':
        this.trialShards.onDeposit(generation, message.shards)
        this.transfer.deposit(child, message)
        return
      case 'withdraw':
        this.trialShards.withdraw(generation, message.shards)
        return
      case 'ready':
        child.isReady = true
        child.probe = message.probe
        child.waits = []
        void this.recovery.onReady(generation, child)
        generation.touch()
        return
      case 'pending':
        child.waits = message.waits.slice(0, 32).map((wait) => String(wait).slice(0, 200))
        this.publish()
        return
      case 'serving':
        child.isServing = !child.isDraining
        this.recovery.onServing(generation, child)
        generation.touch()
        return
      case 'received':
        child.sender?.acknowledge(message.batch)
        return
      case 'pong':
        this.liveness.onPong(child, message)
        return
      case 'progress':
        child.connections = message.left
        child.moved = message.moved
        return
      case 'drained':
        child.isDrained = true
        generation.counts.push(...message.counts)
        return
      case 'hello':
    }
  }

  /** Running processes have a few seconds to find us; who does not come is replaced as if it had died. */
  private async awaitAdopted(): Promise<void> {
    const { tree, deps } = this
    const { adoptMs } = deps.options.deadlines
    const current = tree.current!
    const began = deps.now()
    await this.endThoseWhoDoNotCome(current, adoptMs, (child) => child.isReady)
    // an operator may have had it replaced meanwhile
    if (tree.current === current) {
      this.recovery.complete(current)
      this.recovery.keepAccepting()
      deps.onServing(`generation ${current.number} is adopted and serves`)
    }
    deps.reports.save(this.adoptionReport(current, Math.round(deps.now() - began)))
    this.publish()
  }

  /** Whether a generation that serves is adopted with it or not. */
  private finishAdopted(draining: Generation): void {
    const { log, options } = this.deps
    const { adoptMs, drainMs } = options.deadlines
    this.retirement
      .finish(draining, drainMs)
      .catch((error: unknown) => log('error', `retirement of generation ${draining.number}: ${describeError(error)}`))
    void this.endThoseWhoDoNotCome(draining, adoptMs, () => true)
  }

  /** Each adopted process has the whole time, also where its neighbours were quicker. */
  private async endThoseWhoDoNotCome(
    generation: Generation,
    adoptMs: number,
    isEnough: (child: Child) => boolean,
  ): Promise<void> {
    // an operator may start a new generation meanwhile: its processes are none of those that have to find us
    const adopted = [...generation.living]
    const isHere = (child: Child): boolean => child.isGone || (child.stream !== undefined && isEnough(child))
    await generation.waitFor(() => adopted.every(isHere), adoptMs)
    for (const child of adopted)
      if (!child.isGone && child.stream === undefined)
        child.kill('SIGKILL', `did not find the new watchdog in ${adoptMs} ms`)
  }

  private adoptionReport(current: Generation, servingMs: number): RestartReport {
    return {
      id: `${new Date(this.startedAt).toISOString().replaceAll(':', '-')}-adoption`,
      kind: 'adoption',
      from: current.number,
      to: current.number,
      release: current.release.name,
      outcome: 'done',
      cause: 'the watchdog before this one died',
      evidence: [],
      startedAt: this.startedAt,
      readyMs: undefined,
      provenMs: undefined,
      servingMs,
      goneMs: undefined,
      counts: [],
    }
  }

  private showErrors(child: Child): void {
    const bytes = child.takeErrors()
    if (bytes !== undefined) this.deps.showErrors(bytes)
  }

  private writeRecord(): void {
    const { deps, tree } = this
    if (tree.isStopping) return
    try {
      writeRunRecord(deps.options.runDir, tree.record())
    } catch (error) {
      deps.log('error', `the record for a next watchdog cannot be written: ${describeError(error)}`)
    }
  }

  /** Tells control, at once and then at most every 200 ms. */
  publish(): void {
    if (this.publishTimer !== undefined || this.tree.isStopping) return
    const waitMs = Math.max(0, this.publishedAt + publishPauseMs - this.deps.now())
    this.publishTimer = setTimeout(() => {
      this.publishTimer = undefined
      this.publishedAt = this.deps.now()
      this.tree.current?.control?.send({ type: 'state', state: this.state() })
    }, waitMs)
  }
}
