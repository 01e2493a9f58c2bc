/**
 * A destination at work: endpoints of a service (subset, port) with their living state, and the policies that decide
 * who gets a request and whether at all.
 *
 * Nothing here opens a socket, reads a clock or throws. The common pick is: one comparison with the next due time, the
 * group, its picker; no allocation. What the endpoints are worth is worked out anew (`settle`) only when something
 * about them changed or a time came, not per request.
 */
import type { Endpoint, EndpointSet, Locality, ServiceKey } from '../../../contracts/endpoint.ts'
import { endpointId } from '../../../contracts/endpoint.ts'
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import { forgetChecks, takeCheckResult } from './active-check.ts'
import { Admission } from './admission.ts'
import { pickAnother } from './another-pick.ts'
import { describeCandidates, describeCluster } from './describe.ts'
import { LiveEndpoint } from './endpoint-state.ts'
import type { ShareHolder } from './fair-share.ts'
import { Gate } from './gate.ts'
import { groupsOf } from './group.ts'
import type { Group } from './group.ts'
import { mixBits } from './hashing.ts'
import type { Health } from './health.ts'
import { judge } from './health.ts'
import { choosesByPort, hasLabels, hasPort, portsOf } from '../../../contracts/endpoint-labels.ts'
import type { LocalityPlan } from './locality.ts'
import { planLocalities } from './locality.ts'
import { emptyNumbers } from './numbers.ts'
import { OutlierDetector } from './outlier.ts'
import { pickNamed } from './passthrough.ts'
import { observeLatency } from './peak-ewma.ts'
import { isTried } from './picker.ts'
import { clusterRefusals, noEndpointRefusal } from './refusals.ts'
import type { ClusterRefusals } from './refusals.ts'
import { shareOut } from './share-out.ts'
import { startWarmup } from './slow-start.ts'
import { exportCluster, importBreaker, importEndpoints } from './state-transfer.ts'
import { Outcome } from './types.ts'
import type {
  BalanceDump,
  Candidate,
  Cluster,
  ClusterNumbers,
  EndpointState,
  PickContext,
  Random,
  Refusal,
} from './types.ts'

export interface ClusterOptions {
  readonly service: ServiceKey
  readonly subset?: string | undefined
  /** Labels of the subset: version, or metadata of the endpoint. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Only endpoints of this port; see `choosesByPort`. */
  readonly port?: number | undefined
  /** Where this host is; empty strings = unknown. */
  readonly own: Locality
  readonly endpoints: EndpointSet
  readonly policy: TrafficPolicySpec
  readonly random: Random
  /** Monotonic ms. */
  readonly now: number
}

/** Weight of the newest answer in the mean latency that people see. */
const meanStep = 0.1

/**
 * An endpoint that took no connection is passed over for this long where another one is there: about the time in which
 * an application restarts.
 */
const avoidMs = 1000

const nobody: ReadonlySet<string> = new Set()

/** Makes a cluster. It holds no timer and no socket, so it needs no closing. */
export function createCluster(options: ClusterOptions): Cluster {
  return new EndpointCluster(options)
}

class EndpointCluster implements Cluster {
  readonly name: string
  readonly service: ServiceKey
  readonly subset: string | undefined
  readonly numbers: ClusterNumbers = emptyNumbers()
  policy: TrafficPolicySpec
  onGone: ((state: EndpointState) => void) | null = null
  states: readonly LiveEndpoint[] = []

  private readonly port: number | undefined
  /** `port`, while it chooses among the endpoints. */
  private chosenPort: number | undefined
  private readonly random: Random
  private readonly refusals: ClusterRefusals
  private readonly admission: Admission
  private readonly byId = new Map<string, LiveEndpoint>()
  private labels: Readonly<Record<string, string>> | undefined
  private own: Locality
  private set: EndpointSet
  private readonly gate: Gate
  private outlier: OutlierDetector | null
  private updates = 0

  private plan: LocalityPlan | null = null
  private groups: Group[] = []
  /** The same for endpoints that are held. */
  private heldPlan: LocalityPlan | null = null
  private heldGroups: Group[] = []
  private active: Group[] = []
  private health: Health = { eligible: 0, usable: 0, isProtected: false }
  private noEndpoint: Refusal
  private isStale = true
  private nextDueAt = 0

  constructor(options: ClusterOptions) {
    this.service = options.service
    this.subset = options.subset
    this.port = options.port
    this.labels = options.labels
    this.own = options.own
    this.random = options.random
    this.policy = options.policy
    this.set = options.endpoints
    this.name = `outbound|${options.port ?? ''}|${options.subset ?? ''}|${options.service}`
    this.refusals = clusterRefusals(this.name)
    this.noEndpoint = this.refusals.notAnEndpoint
    const { pool, retryBudget, outlier } = options.policy
    this.admission = new Admission(this.numbers, pool, retryBudget)
    this.gate = new Gate(options.policy, this.numbers, this.refusals, options.random)
    this.outlier = outlier === undefined ? null : new OutlierDetector(outlier, options.now)
    this.takeEndpoints(options.now)
  }

  update(
    endpoints: EndpointSet,
    policy: TrafficPolicySpec,
    now: number,
    labels?: Readonly<Record<string, string>>,
    own?: Locality,
  ): void {
    this.set = endpoints
    if (labels !== undefined) this.labels = labels
    if (own !== undefined && (own.region !== this.own.region || own.zone !== this.own.zone)) {
      this.own = own
      this.plan = null
    }
    if (policy !== this.policy) this.takePolicy(policy, now)
    this.takeEndpoints(now)
  }

  admit(now: number, holder?: ShareHolder): Refusal | null {
    return this.gate.admit(now, holder)
  }

  admitConnection(now: number, holder: ShareHolder): Refusal | null {
    return this.gate.admitConnection(now, holder)
  }

  readmit(now: number, holder: ShareHolder, isAnswered: boolean): void {
    this.gate.readmit(now, holder, isAnswered)
  }

  answered(): void {
    this.gate.answered()
  }

  release(share?: string, isAnswered?: boolean): void {
    this.gate.release(share, isAnswered)
  }

  pick(context: PickContext): EndpointState | Refusal {
    if (this.isStale || context.now >= this.nextDueAt) this.settle(context.now)
    if (this.policy.loadBalancer.kind === 'passthrough') {
      const named = pickNamed(this.byId, context)
      if (named !== undefined) return named
      this.numbers.picksWithoutEndpoint++
      return this.refusals.notAnEndpoint
    }
    const active = this.active
    if (active.length === 0) {
      this.numbers.picksWithoutEndpoint++
      return this.noEndpoint
    }
    const group = active.length === 1 ? active[0]! : this.drawGroup(context)
    const state = group.picker!.pick(context)
    const isUnwanted = state.avoidUntil > context.now || (context.tried !== null && isTried(context, state))
    return isUnwanted ? pickAnother(context, group, state, this.groups, this.heldGroups) : state
  }

  beginAttempt(state: EndpointState, _now: number): void {
    state.activeRequests++
    this.numbers.activeAttempts++
    this.gate.begin(state)
  }

  endAttempt(state: EndpointState, outcome: Outcome, status: number, latencyMs: number, now: number): void {
    state.activeRequests--
    this.numbers.activeAttempts--
    this.gate.end(state, outcome, status, latencyMs, now)
    if (outcome === Outcome.cancelled) return
    const live = state as LiveEndpoint
    live.requests++
    if (outcome !== Outcome.ok) live.failures++
    if (outcome === Outcome.connectFailure || outcome === Outcome.connectTimeout) this.refused(live, now)
    else if (outcome === Outcome.ok) live.avoidUntil = 0
    if (latencyMs >= 0) {
      live.meanLatencyMs += (latencyMs - live.meanLatencyMs) * (live.meanLatencyMs === 0 ? 1 : meanStep)
    }
    const balancer = this.policy.loadBalancer
    if (balancer.kind === 'peak-ewma') {
      observeLatency(live, outcome === Outcome.ok, latencyMs, now, balancer.decayMs)
    }
    if (this.outlier !== null && this.isWatched(live) && this.outlier.record(live, outcome, status, now)) {
      this.numbers.ejections = this.outlier.ejections
      this.isStale = true
    }
  }

  tryRetry(): boolean {
    return this.admission.tryRetry()
  }

  endRetry(): void {
    this.numbers.activeRetries--
  }

  tryConnection(): boolean {
    return this.admission.tryConnection()
  }

  endConnection(): void {
    this.numbers.connections--
  }

  tryPending(): boolean {
    return this.admission.tryPending()
  }

  endPending(): void {
    this.numbers.pendingRequests--
  }

  tick(now: number): void {
    this.gate.settle(now)
    if (this.isStale || now >= this.nextDueAt) this.settle(now)
  }

  activeCheckResult(state: EndpointState, isGood: boolean, now: number): void {
    const live = state as LiveEndpoint
    const spec = this.policy.activeCheck
    if (spec === undefined || live.isGone || !takeCheckResult(live, isGood, spec)) return
    if (!live.hasFailedCheck) startWarmup(live, now, this.policy.warmupMs)
    this.isStale = true
  }

  ejected(): { id: string; reason: string }[] {
    return this.states.flatMap(({ ejectionReason, id, isEjected }) =>
      isEjected ? [{ id, reason: ejectionReason }] : [],
    )
  }

  exportState(now: number): unknown {
    return exportCluster(this.states, this.gate.breaker, now)
  }

  importState(state: unknown, now: number): void {
    const { outlier, activeCheck, warmupMs, breaker } = this.policy
    importEndpoints(state, this.byId, outlier, activeCheck !== undefined, warmupMs, now)
    if (this.gate.breaker !== null && breaker !== undefined) importBreaker(state, this.gate.breaker, breaker, now)
    this.watchOutliers()
    this.isStale = true
    this.tick(now)
  }

  dump(now: number): BalanceDump {
    this.tick(now)
    return describeCluster(this, this.states, this.gate, now)
  }

  candidates(now: number): readonly Candidate[] {
    this.tick(now)
    return describeCandidates({
      set: this.set,
      byId: this.byId,
      labels: this.labels,
      subset: this.subset,
      port: this.chosenPort,
      plan: this.plan,
      groups: [...this.groups, ...this.heldGroups],
      health: this.health,
      isPassthrough: this.policy.loadBalancer.kind === 'passthrough',
      isStandingAside: this.outlier?.isStandingAside ?? false,
      now,
    })
  }

  get portNote(): string | undefined {
    const { endpoints } = this.set
    if (this.port === undefined || this.chosenPort !== undefined || endpoints.length === 0) return undefined
    return `no endpoint has port ${this.port} (ports: ${portsOf(endpoints)}); it is taken for the port of the service, and chooses none of them out`
  }

  private takePolicy(policy: TrafficPolicySpec, now: number): void {
    const before = this.policy
    this.policy = policy
    this.plan = null
    this.admission.renew(policy.pool, policy.retryBudget)
    this.gate.renew(policy)
    if (policy.outlier === undefined) {
      if (this.outlier !== null) for (const state of this.states) this.outlier.takeBack(state)
      this.outlier = null
    } else if (this.outlier === null) {
      this.outlier = new OutlierDetector(policy.outlier, now)
    } else {
      this.outlier.renew(policy.outlier, now)
    }
    if (policy.activeCheck === undefined && before.activeCheck !== undefined) this.states.forEach(forgetChecks)
  }

  private takeEndpoints(now: number): void {
    const isFirst = this.updates === 0
    const update = ++this.updates
    const { port } = this
    this.chosenPort = port !== undefined && choosesByPort(this.set.endpoints, port) ? port : undefined
    const states: LiveEndpoint[] = []
    const held = this.set.held === undefined ? nobody : new Set(this.set.held)
    let changed = isFirst || this.plan === null
    for (const endpoint of this.set.endpoints) {
      if (!this.isMine(endpoint)) continue
      const id = endpointId(endpoint)
      let state = this.byId.get(id)
      if (state === undefined) {
        state = new LiveEndpoint(endpoint)
        this.byId.set(id, state)
        if (!isFirst) startWarmup(state, now, this.policy.warmupMs)
        changed = true
      } else {
        if (state.seenInUpdate === update) continue
        const wasHealthy = state.endpoint.healthy
        if (state.renew(endpoint)) changed = true
        if (!wasHealthy && endpoint.healthy) startWarmup(state, now, this.policy.warmupMs)
      }
      if (state.isHeld !== held.has(id)) {
        state.isHeld = !state.isHeld
        state.isRefused = false
        state.avoidUntil = 0
        changed = true
      }
      state.seenInUpdate = update
      states.push(state)
    }
    const before = this.states
    this.states = states
    const gone = before.filter((state) => state.seenInUpdate !== update)
    for (const state of gone) {
      changed = true
      this.byId.delete(state.id)
      state.isGone = true
      state.isPickable = false
    }
    if (changed) this.regroup()
    this.settle(now)
    if (this.onGone !== null) for (const state of gone) this.onGone(state)
  }

  private isMine(endpoint: Endpoint): boolean {
    if (this.chosenPort !== undefined && !hasPort(endpoint, this.chosenPort)) return false
    return this.labels === undefined || hasLabels(endpoint, this.labels)
  }

  private regroup(): void {
    const held = this.states.filter((state) => state.isHeld)
    const confirmed = held.length === 0 ? this.states : this.states.filter((state) => !state.isHeld)
    this.plan = planLocalities(confirmed, this.own, this.policy.locality)
    this.groups = groupsOf(this.plan, this.groups)
    this.heldPlan = planLocalities(held, this.own, this.policy.locality)
    this.heldGroups = groupsOf(this.heldPlan, this.heldGroups)
    this.watchOutliers()
  }

  private watchOutliers(): void {
    this.outlier?.watch(this.states.filter((state) => state.isEligible && this.isWatched(state)))
  }

  get isUnheard(): boolean {
    return this.set.confirmedAt === 0 && this.states.length === 0
  }

  /** Outlier detection looks at those that carry traffic: held ones only where nothing else is there. */
  private isWatched(state: LiveEndpoint): boolean {
    return !state.isHeld || this.groups.length === 0
  }

  /** Works out who may be used, how much each group carries, and makes the pickers. */
  private settle(now: number): void {
    const { loadBalancer, warmupMs, panicShare } = this.policy
    if (this.outlier !== null) this.outlier.sweep(now, (state) => startWarmup(state, now, warmupMs))
    this.health = judge(this.states, this.set.protectThreshold, this.outlier)
    const plan = this.plan!
    const eligible = this.groups.map((group) => group.members.length)
    const usable = this.groups.map((group) => group.countUsable())
    const loads = shareOut(plan, eligible, usable, panicShare)
    this.active = []
    let isPanicking = false
    for (const [index, group] of this.groups.entries()) {
      group.load = loads[index]!.load
      group.isPanicking = loads[index]!.isPanicking
      group.settle(loadBalancer, warmupMs, now, this.random)
      if (group.isPanicking) isPanicking = true
      if (group.picker !== null) this.active.push(group)
    }
    let usableNow = this.health.usable
    if (this.heldGroups.length > 0) {
      for (const group of this.heldGroups) this.silence(group, now)
      if (this.health.usable === 0) usableNow = this.fallBackToHeld(now)
    }
    if (this.active.length === 0) {
      const chosenBy = { set: this.set.endpoints, port: this.chosenPort, subset: this.subset }
      this.noEndpoint = noEndpointRefusal(this.name, this.states, chosenBy)
    }
    this.numbers.endpoints = this.states.length
    this.numbers.usableEndpoints = usableNow
    this.numbers.ejectedEndpoints = this.outlier?.ejected ?? 0
    this.numbers.ejections = this.outlier?.ejections ?? this.numbers.ejections
    this.numbers.panic = isPanicking ? 1 : 0
    this.isStale = false
    this.nextDueAt = this.findNextDue(now)
  }

  /**
   * None of the others works, so those serve that the registry's newest word lacks. One that refused a connection is
   * asked again only when nothing at all is left: a registry that is away for long must not make a restarted
   * application invisible. Answers how many can be used.
   */
  private fallBackToHeld(now: number): number {
    const count = (): number[] => this.heldGroups.map((group) => group.countUsable())
    let usable = count()
    if (usable.every((one) => one === 0)) {
      if (this.active.length > 0) return 0
      for (const state of this.states) state.isRefused = false
      this.health = judge(this.states, this.set.protectThreshold, this.outlier)
      usable = count()
    }
    for (const group of this.groups) this.silence(group, now)
    const eligible = this.heldGroups.map((group) => group.members.length)
    const loads = shareOut(this.heldPlan!, eligible, usable, 0)
    this.active = []
    for (const [index, group] of this.heldGroups.entries()) {
      group.load = loads[index]!.load
      group.settle(this.policy.loadBalancer, this.policy.warmupMs, now, this.random)
      if (group.picker !== null) this.active.push(group)
    }
    return usable.reduce((sum, one) => sum + one, 0)
  }

  /** No first pick of this group; a retry may still find its usable members. */
  private silence(group: Group, now: number): void {
    group.load = 0
    group.isPanicking = false
    group.settle(this.policy.loadBalancer, this.policy.warmupMs, now, this.random)
  }

  private findNextDue(now: number): number {
    let due = this.outlier?.nextDueAt() ?? Infinity
    if (this.policy.warmupMs === 0) return due
    for (const state of this.states) if (state.warmUntil > now && state.warmUntil < due) due = state.warmUntil
    return due
  }

  /** By the hash where there is one, so that a key stays in its group too. */
  private drawGroup(context: PickContext): Group {
    const active = this.active
    const balancer = this.policy.loadBalancer.kind
    const isHashed = context.hasHash && (balancer === 'ring-hash' || balancer === 'maglev')
    let rest = isHashed ? mixBits(~context.hash) / 4_294_967_296 : context.random()
    for (let index = 0; index < active.length - 1; index++) {
      rest -= active[index]!.load
      if (rest < 0) return active[index]!
    }
    return active[active.length - 1]!
  }

  /**
   * It took no connection. The next requests rather go elsewhere for a moment, long before outlier detection or the
   * registry can know.
   */
  private refused(state: LiveEndpoint, now: number): void {
    state.avoidUntil = now + avoidMs
    if (!state.isHeld || state.isRefused) return
    // the registry lacks it and it takes no connection: two words
    state.isRefused = true
    this.isStale = true
  }
}
