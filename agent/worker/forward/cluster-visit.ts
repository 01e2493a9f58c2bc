import type { ShareHolder } from '../balance/fair-share.ts'
import type { EndpointState, PickContext, Refusal } from '../balance/types.ts'
import type { Upstream } from '../connect/upstream.ts'
import { makeHashCookie, readHash } from '../route/hash-key.ts'
import type { HeaderEdits, RequestView } from '../route/types.ts'
import type { RequestMessage } from './streams.ts'

/**
 * What one request holds of a destination, from its admission until `leave` gives everything back, and what its picks
 * have to know.
 */
export class ClusterVisit implements ShareHolder {
  upstream: Upstream | null = null
  /** Adds a cookie that was made for a caller without a hash key. */
  hashCookie: HeaderEdits | null = null
  /** Endpoints of attempts that failed. */
  readonly tried: EndpointState[] = []
  share = ''
  private isAdmitted = false
  private isAnswered = false
  /** A place in the retry budget, from the decision to retry until the attempt takes it over. */
  private holdsRetry = false
  private readonly context: PickContext
  private readonly user: { readonly callerKey: string }

  constructor(random: () => number, user: { readonly callerKey: string }) {
    this.user = user
    this.context = { now: 0, random, hash: 0, hasHash: false, tried: null, original: '' }
  }

  get callerKey(): string {
    return this.user.callerKey
  }

  /** null = admitted. */
  enter(upstream: Upstream, view: RequestView & Pick<RequestMessage, 'speaks'>, now: number): Refusal | null {
    this.upstream = upstream
    upstream.uses++
    const { speaks } = view
    if (speaks !== null && speaks !== upstream.pools.protocol) return otherProtocol(upstream, speaks)
    const refusal = upstream.cluster.admit(now, this)
    if (refusal !== null) return refusal
    this.isAdmitted = true
    this.isAnswered = false
    this.readHash(upstream, view)
    return null
  }

  private readHash(upstream: Upstream, view: RequestView): void {
    const key = upstream.hashKey
    const { context } = this
    context.hasHash = false
    if (key === null) return
    let hash = readHash(key, view)
    if (hash === undefined) {
      const cookie = makeHashCookie(key, context.random)
      if (cookie === undefined) return
      this.hashCookie = cookie.edits
      hash = cookie.hash
    }
    context.hash = hash
    context.hasHash = true
  }

  /**
   * `ignoresTried` of the route's retries: true = endpoints that were tried are avoided, false = they are not,
   * undefined = they are, unless a hash says where the request belongs.
   */
  pick(view: RequestView, now: number, ignoresTried: boolean | undefined): EndpointState | Refusal {
    const { context, tried } = this
    const { cluster } = this.upstream!
    context.now = now
    context.tried = tried.length > 0 && this.avoidsTried(ignoresTried) ? tried : null
    context.original = cluster.policy.loadBalancer.kind === 'passthrough' ? view.authority : ''
    return cluster.pick(context)
  }

  private avoidsTried(ignoresTried: boolean | undefined): boolean {
    return ignoresTried ?? !this.context.hasHash
  }

  /** Whether the next pick finds an endpoint that none of `count` attempts was made at. */
  hasUntried(count: number, ignoresTried: boolean | undefined): boolean {
    return this.avoidsTried(ignoresTried) && count < this.upstream!.cluster.states.length
  }

  /** Once all were tried, only the last one is still avoided. */
  noteTried(state: EndpointState): void {
    const { tried, upstream } = this
    const isLast = tried.length + 1 >= upstream!.cluster.states.length && !tried.includes(state)
    if (isLast) tried.length = 0
    if (!tried.includes(state)) tried.push(state)
  }

  /** Takes a place in the retry budget until `claimRetry`; false when it is used up. */
  reserveRetry(): boolean {
    this.holdsRetry = this.upstream!.cluster.tryRetry()
    return this.holdsRetry
  }

  /** Whether a place was reserved; it is the attempt's from now on. */
  claimRetry(): boolean {
    const { holdsRetry } = this
    this.holdsRetry = false
    return holdsRetry
  }

  get state(): { readonly tried: readonly string[]; readonly hash: number } {
    const { context, tried } = this
    return { tried: tried.map(({ id }) => id), hash: context.hasHash ? context.hash : -1 }
  }

  /** Instead of `enter`, for what was admitted by another process: it is let in past the bounds. */
  restore(upstream: Upstream, tried: readonly string[], hash: number, isAnswered: boolean, now: number): void {
    this.upstream = upstream
    upstream.uses++
    upstream.cluster.readmit(now, this, isAnswered)
    this.isAdmitted = true
    this.isAnswered = isAnswered
    this.context.hasHash = hash >= 0
    if (hash >= 0) this.context.hash = hash
    this.tried.push(...upstream.cluster.states.filter(({ id }) => tried.includes(id)))
  }

  /** The head of the reply is there. */
  answered(): void {
    if (!this.isAdmitted || this.isAnswered) return
    this.isAnswered = true
    this.upstream!.cluster.answered()
  }

  /**
   * Leaves the admission of an answered request to a tunnel, which releases it at its end with the share that this
   * answers.
   */
  giveAdmission(): string {
    const { share } = this
    this.isAdmitted = false
    this.share = ''
    return share
  }

  /** Nothing is sent any more: somebody else may have the place. */
  endAdmission(): void {
    if (!this.isAdmitted) return
    this.upstream!.cluster.release(this.giveAdmission(), this.isAnswered)
  }

  leave(): void {
    const { upstream } = this
    if (upstream === null) return
    if (this.claimRetry()) upstream.cluster.endRetry()
    this.endAdmission()
    this.upstream = null
  }

  /** For the next request; it has left. */
  reset(): void {
    if (this.tried.length > 0) this.tried.length = 0
    this.hashCookie = null
  }
}

function otherProtocol({ cluster, pools }: Upstream, speaks: string): Refusal {
  const reason = `a request in ${speaks}, but ${cluster.service} is spoken to in ${pools.protocol}`
  return { kind: 'refusal', code: 'E_UPSTREAM_PROTOCOL', flag: 'UPE', reason }
}
