/**
 * Certificates from the authority of a center: one for the host, which it got by joining, and one for each name that an
 * application has. Keys are made here and stay here.
 *
 * Each is renewed at half its life. What fails is tried again at growing pauses while the old one serves; at a quarter
 * of its life an alarm is raised. Times of certificates are looked at once a second by the wall clock, so a clock that
 * jumps renews at once and never all at the same moment: at most four requests are under way.
 */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import type { IdentityRow } from '../../../../contracts/identity-row.ts'
import type { Clock } from '../../../../contracts/clock.ts'
import { every } from '../../../../contracts/clock.ts'
import { MeshError, describeError } from '../../../../contracts/errors.ts'
import { parseSpiffeId } from '../../../../contracts/spiffe-id.ts'
import type { WorkloadCertificate } from '../../../../contracts/workload-certificate.ts'
import type { HostPort } from '../../config/scalars.ts'
import { tellFailure } from '../../events/certificate-failure.ts'
import type { Timeline } from '../../events/timeline.ts'
import type { Log } from '../../log.ts'
import type { ControlMetrics } from '../../observe.ts'
import type { CaIdentity, CaTrust } from './ca-client.ts'
import type { CaIssued } from '../../../../contracts/ca-api.ts'
import type { IdentitySource, OnCertificates } from './identity-source.ts'
import type { KeptCertificate, KeptIdentities } from './kept-identities.ts'
import { isLate, lifetimeOf, renewalTime, retryPause, type Lifetime } from './lifetime.ts'
import type { KeyAndRequest } from './signing-request.ts'
import { blocksOf } from './file-rows.ts'

export interface CenterSourceDeps {
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: Pick<ControlMetrics, 'count' | 'gauge' | 'clear'>
  readonly timeline: Pick<Timeline, 'turn'>
  readonly client: CaClient
  readonly settings: () => { readonly authorities: readonly HostPort[]; readonly refreshMs: number }
  readonly onCertificates: OnCertificates
  /** What is kept for the next start is another one now. */
  readonly onKept: () => void
  /** What `hostmesh join` left since it was asked last; undefined = nothing new. */
  readonly joined: () => KeptIdentities | undefined
}

/** `ca-client.ts` and `signing-request.ts`, handed in for tests. */
export interface CaClient {
  certify(address: HostPort, trust: CaTrust, own: CaIdentity, request: string): Promise<CaIssued>
  newestTrust(address: HostPort, trust: CaTrust): Promise<CaTrust>
  keyAndRequest(uri: string): Promise<KeyAndRequest>
}

interface Held extends KeptCertificate, Lifetime {
  readonly renewAt: number
}

interface Wanted {
  readonly id: string
  held: Held | undefined
  failures: number
  /** Monotonic ms. */
  retryAt: number
  isAsking: boolean
  isAlarmed: boolean
  problem: string | undefined
}

const lookMs = 1000
const clockIsAhead = "the clock of this host is ahead of the authority's"
const maxAsking = 4

export class CenterSource implements IdentitySource {
  private readonly deps: CenterSourceDeps
  private readonly wanted = new Map<string, Wanted>()
  private trust: CaTrust | undefined
  private hostId: string | undefined
  private isLeading = false
  private asking = 0
  private nextCenter = 0
  private refreshAt = 0
  private isRefreshing = false
  private readonly cancel: () => void

  constructor(deps: CenterSourceDeps, kept: KeptIdentities | undefined) {
    this.deps = deps
    if (kept !== undefined) this.takeUp(kept)
    this.cancel = every(deps.clock, lookMs, () => this.look())
  }

  get trustDomain(): string | undefined {
    return this.trust?.trustDomain
  }

  /** What another generation wrote meanwhile. */
  relearn(kept: KeptIdentities): void {
    this.takeUp(kept)
    this.tell()
  }

  want(ids: readonly string[]): void {
    const all = new Set(this.hostId === undefined ? ids : [this.hostId, ...ids])
    const gone = [...this.wanted.keys()].filter((id) => !all.has(id))
    for (const id of gone) this.wanted.delete(id)
    for (const id of all) this.entry(id)
    if (gone.length > 0 && this.isLeading) this.deps.onKept()
    this.tell()
    this.look()
  }

  setLeading(isLeading: boolean): void {
    this.isLeading = isLeading
    if (isLeading) this.look()
  }

  kept(): KeptIdentities | undefined {
    if (this.trust === undefined) return undefined
    const certificates = this.held().map(({ id, chain, key }) => ({ id, chain, key }))
    return certificates.length === 0 ? undefined : { ...this.trust, certificates }
  }

  view(): readonly IdentityRow[] {
    const now = this.deps.clock.wall()
    return [...this.wanted.values()].map(({ id, held, problem }): IdentityRow => {
      if (held === undefined) return { id, source: 'center', state: 'none', chain: [], problem }
      const { notBefore, notAfter, renewAt, chain } = held
      const state = now >= notAfter ? 'ended' : isLate(held, now) ? 'late' : 'good'
      const serial = new X509Certificate(chain).serialNumber.toLowerCase()
      return { id, source: 'center', state, notBefore, notAfter, renewAt, serial, chain: blocksOf(chain), problem }
    })
  }

  close(): void {
    this.cancel()
  }

  private entry(id: string): Wanted {
    let found = this.wanted.get(id)
    if (found === undefined) {
      found = { id, held: undefined, failures: 0, retryAt: 0, isAsking: false, isAlarmed: false, problem: undefined }
      this.wanted.set(id, found)
    }
    return found
  }

  /** Newer certificates only: a predecessor may have written an older state than ours. */
  private takeUp({ certificates, ...trust }: KeptIdentities): void {
    this.trust = trust
    for (const one of certificates) {
      const entry = this.entry(one.id)
      const lifetime = lifetimeOf(one.chain)
      if (entry.held !== undefined && entry.held.notAfter > lifetime.notAfter) continue
      this.hold(entry, one, lifetime)
      if (parseSpiffeId(one.id)?.kind === 'host') this.hostId = one.id
    }
  }

  private hold(entry: Wanted, { id, chain, key }: KeptCertificate, lifetime: Lifetime): void {
    const renewAt = renewalTime(lifetime, this.deps.random())
    Object.assign(entry, {
      held: { id, chain, key, ...lifetime, renewAt },
      failures: 0,
      retryAt: 0,
      problem: undefined,
    })
  }

  /** The host's own first. */
  private held(): Held[] {
    const all = [...this.wanted.values()].flatMap(({ held }) => held ?? [])
    return all.toSorted((a, b) => Number(b.id === this.hostId) - Number(a.id === this.hostId))
  }

  private tell(): void {
    const { trust } = this
    if (trust === undefined) return
    this.deps.onCertificates(
      this.held().map(({ id, chain, key, notAfter }): WorkloadCertificate => {
        return { id, chain, key, notAfter, trustBundle: trust.trustBundle }
      }),
    )
  }

  private look(): void {
    const joined = this.isLeading ? this.deps.joined() : undefined
    if (joined !== undefined) {
      this.deps.log.info({ identity: joined.certificates[0]?.id }, `this host has joined ${joined.trustDomain}`)
      // an earlier life of the host is over, in this trust domain or in another one
      if (this.hostId !== undefined) this.wanted.delete(this.hostId)
      this.takeUp(joined)
      this.changed()
    }
    this.watch()
    const host = this.hostId === undefined ? undefined : this.wanted.get(this.hostId)?.held
    if (!this.isLeading || this.trust === undefined || host === undefined) return
    const { clock } = this.deps
    const now = clock.wall()
    for (const entry of this.wanted.values()) {
      if (this.asking >= maxAsking) return
      const isDue = entry.held === undefined || now >= entry.held.renewAt
      if (isDue && !entry.isAsking && clock.monotonic() >= entry.retryAt) void this.renew(entry, host, this.trust)
    }
    if (clock.monotonic() >= this.refreshAt && !this.isRefreshing) void this.refresh(this.trust)
  }

  /** Raises the alarm, once, and takes it back; of a clock, too. */
  private watch(): void {
    const { clock, metrics, log } = this.deps
    const now = clock.wall()
    metrics.clear('certificate_late')
    for (const entry of this.wanted.values()) {
      this.forgiveClock(entry, now)
      const late = entry.held === undefined ? entry.failures > 0 : isLate(entry.held, now)
      metrics.gauge('certificate_late', { identity: entry.id }, late ? 1 : 0)
      if (late === entry.isAlarmed) continue
      entry.isAlarmed = late
      const left =
        entry.held === undefined ? 'there is none' : `it ends at ${new Date(entry.held.notAfter).toISOString()}`
      if (late)
        log.error({ identity: entry.id }, `certificate of ${entry.id}: ${left}; ${entry.problem ?? 'not renewed'}`)
    }
  }

  private async renew(entry: Wanted, host: Held, trust: CaTrust): Promise<void> {
    const { client, clock, random, metrics, log } = this.deps
    entry.isAsking = true
    this.asking++
    try {
      const { key, request } = await client.keyAndRequest(entry.id)
      const issued = await this.anyCenter((address) => client.certify(address, trust, host, request))
      if (issued.id !== entry.id || issued.trustDomain !== trust.trustDomain)
        throw new MeshError('E_CA_REFUSED', `asked for ${entry.id}, got ${issued.id.slice(0, 200)}`)
      if (!new X509Certificate(issued.chain).checkPrivateKey(createPrivateKey(key)))
        throw new MeshError('E_CA_REFUSED', `the certificate of ${entry.id} is of another key than ours`)
      const { failures } = entry
      const lifetime = lifetimeOf(issued.chain)
      this.hold(entry, { id: entry.id, chain: issued.chain, key }, lifetime)
      this.trust = { trustDomain: issued.trustDomain, trustBundle: issued.trustBundle }
      metrics.count('certificate_renewals', { result: 'renewed' })
      log.info({ identity: entry.id, ends: new Date(lifetime.notAfter).toISOString() }, `certificate of ${entry.id}`)
      if (clock.wall() >= entry.held!.renewAt) this.slowDown(entry, failures + 1)
      this.changed()
    } catch (error) {
      entry.failures++
      entry.retryAt = clock.monotonic() + retryPause(entry.failures, random())
      const isNews = entry.problem !== describeError(error)
      entry.problem = describeError(error)
      metrics.count('certificate_renewals', { result: 'failed' })
      const rest = entry.held === undefined ? 'there is none of it' : 'the one in use stays'
      if (isNews) {
        log.warn({ identity: entry.id }, `certificate of ${entry.id}: ${entry.problem}; ${rest}; tried again`)
        tellFailure(this.deps.timeline, entry.id, `${entry.problem}; ${rest}; tried again`)
      }
    } finally {
      entry.isAsking = false
      this.asking--
    }
  }

  /** It is due again at once: this host's clock is ahead of the authority's. It must not ask every second for that. */
  private slowDown(entry: Wanted, failures: number): void {
    const { clock, random } = this.deps
    entry.failures = failures
    entry.retryAt = clock.monotonic() + retryPause(failures, random())
    entry.problem = clockIsAhead
  }

  /** Behind a clock that was put right the certificate of meanwhile is not due at once, as it seemed to be. */
  private forgiveClock(entry: Wanted, now: number): void {
    if (entry.problem !== clockIsAhead || entry.held === undefined || now >= entry.held.renewAt) return
    Object.assign(entry, { failures: 0, retryAt: 0, problem: undefined })
  }

  /** The bundle changes when an authority changes its root, long before certificates do. */
  private async refresh(trust: CaTrust): Promise<void> {
    const { clock, client, random, settings, log } = this.deps
    const { refreshMs } = settings()
    this.isRefreshing = true
    try {
      const found = await this.anyCenter((address) => client.newestTrust(address, trust))
      if (found.trustBundle !== this.trust?.trustBundle) {
        this.trust = found
        log.info({ trustDomain: found.trustDomain }, 'the roots of the authority are others now')
        this.changed()
      }
    } catch (error) {
      log.debug({}, `the bundle of the authority: ${describeError(error)}; tried again`)
    } finally {
      this.isRefreshing = false
      this.refreshAt = clock.monotonic() + refreshMs * (0.9 + 0.2 * random())
    }
  }

  /** The center that answered last, then the others. A refusal is no reason to ask them now, but next time. */
  private async anyCenter<T>(ask: (address: HostPort) => Promise<T>): Promise<T> {
    const { authorities } = this.deps.settings()
    let last: unknown = new MeshError('E_CA_UNREACHABLE', 'identity.authorities names nobody')
    for (let tries = 0; tries < authorities.length; tries++) {
      const at = this.nextCenter % authorities.length
      try {
        return await ask(authorities[at]!)
      } catch (error) {
        last = error
        // also after a refusal: another center may know what this one does not
        this.nextCenter = at + 1
        if (error instanceof MeshError && error.code === 'E_CA_REFUSED') throw error
      }
    }
    throw last
  }

  private changed(): void {
    this.tell()
    if (this.isLeading) this.deps.onKept()
  }
}
