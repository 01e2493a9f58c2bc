/**
 * The hosts that report to this center: what each said last, and whether it still does. Who is silent for
 * `forgetAfter` is forgotten. A host that came back more than once within minutes has to report for a while until it is
 * believed again.
 */
import type { HostReport } from '../../contracts/host-report.ts'
import type { Clock } from '../../contracts/clock.ts'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'

export interface HostTableOptions {
  readonly silentAfter: number
  readonly forgetAfter: number
  readonly maxHosts: number
}

export interface KnownHost {
  readonly name: string
  readonly report: HostReport
  /** Epoch ms. */
  readonly heardAt: number
  readonly firstHeardAt: number
  readonly state: 'reporting' | 'silent' | 'returning'
  /** False: what is known of it is of an earlier center, and its counters are not. */
  readonly isHeardHere: boolean
}

export interface KeptHost {
  readonly report: HostReport
  readonly heardAt: number
  readonly firstHeardAt: number
  readonly isSilent: boolean
}

interface Host {
  report: HostReport
  heardAt: number
  firstHeardAt: number
  /** Monotonic, of the last report or of the start of this center. */
  heard: number
  isHeardHere: boolean
  state: KnownHost['state']
  /** Monotonic: it is believed again from here on. */
  believedAt: number
  /** Monotonic times of its last returns from silence. */
  readonly returns: number[]
}

/** A look that comes later than this was held up, ms. */
const heldUpMs = 2000
/** Returns within this time count as coming and going, ms. */
const flapWindowMs = 10 * 60_000
/** What a host has to report for, without a gap, at its second return; twice as long at each further one. */
const firstHoldMs = 5000
const lastHoldMs = 60_000

export class HostTable {
  private readonly options: HostTableOptions
  private readonly clock: Clock
  private readonly hosts = new Map<string, Host>()
  private lookedAt: number | undefined

  constructor(options: HostTableOptions, clock: Clock) {
    this.options = options
    this.clock = clock
  }

  get size(): number {
    return this.hosts.size
  }

  /** Hosts that an earlier center knew: who reported then is not silent before it had the time to report here. */
  adopt(kept: readonly KeptHost[]): void {
    for (const { report, heardAt, firstHeardAt, isSilent } of kept.slice(0, this.options.maxHosts)) {
      if (this.hosts.has(report.host)) continue
      const host = { ...this.made(report), heardAt, firstHeardAt, isHeardHere: false }
      if (isSilent) Object.assign(host, { state: 'silent', heard: host.heard - this.options.silentAfter })
      this.hosts.set(report.host, host)
    }
  }

  /** True: nobody knew this host. Throws ApiError 507 when there are too many. */
  take(report: HostReport): boolean {
    const present = this.hosts.get(report.host)
    if (present === undefined) {
      if (this.hosts.size >= this.options.maxHosts)
        throw new ApiError(507, `${this.options.maxHosts} hosts are kept, which is the bound (hosts.maxHosts)`)
      this.hosts.set(report.host, this.made(report))
      return true
    }
    const now = this.clock.monotonic()
    if (present.state === 'silent') this.returned(present, now)
    present.report = report
    present.heardAt = this.clock.wall()
    present.heard = now
    present.isHeardHere = true
    return false
  }

  get(name: string): KnownHost | undefined {
    const host = this.hosts.get(name)
    return host === undefined ? undefined : known(host)
  }

  /** By name. */
  all(): KnownHost[] {
    return [...this.hosts.values()].map(known).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  kept(): KeptHost[] {
    return [...this.hosts.values()].map(({ report, heardAt, firstHeardAt, state }) => {
      // counters of minutes ago help nobody
      return { report: { ...report, traffic: [] }, heardAt, firstHeardAt, isSilent: state === 'silent' }
    })
  }

  forget(name: string): boolean {
    return this.hosts.delete(name)
  }

  /**
   * Looks at the time, at least once a second: a center that was held up itself could not hear anybody, and counts that
   * time for no silence.
   *
   * Answers the hosts whose state is another one now, or that were forgotten.
   */
  look(): readonly { readonly name: string; readonly state: KnownHost['state'] | 'forgotten' }[] {
    const now = this.clock.monotonic()
    const gap = now - (this.lookedAt ?? now)
    this.lookedAt = now
    if (gap > heldUpMs) for (const host of this.hosts.values()) host.heard = Math.min(now, host.heard + gap)
    const changes: { name: string; state: KnownHost['state'] | 'forgotten' }[] = []
    for (const [name, host] of this.hosts) {
      const silence = now - host.heard
      if (silence >= this.options.forgetAfter) {
        this.hosts.delete(name)
        changes.push({ name, state: 'forgotten' })
      } else if (silence >= this.options.silentAfter) {
        if (host.state !== 'silent') changes.push({ name, state: 'silent' })
        host.state = 'silent'
      } else if (host.state === 'returning' && now >= host.believedAt) {
        host.state = 'reporting'
        changes.push({ name, state: 'reporting' })
      }
    }
    return changes
  }

  private made(report: HostReport): Host {
    const at = this.clock.wall()
    const heard = this.clock.monotonic()
    return {
      report,
      heardAt: at,
      firstHeardAt: at,
      heard,
      isHeardHere: true,
      state: 'reporting',
      believedAt: 0,
      returns: [],
    }
  }

  private returned(host: Host, now: number): void {
    while (host.returns.length > 0 && now - host.returns[0]! > flapWindowMs) host.returns.shift()
    host.returns.push(now)
    const times = host.returns.length
    if (times > 10) host.returns.shift()
    host.state = times === 1 ? 'reporting' : 'returning'
    host.believedAt = now + Math.min(lastHoldMs, firstHoldMs * 2 ** (times - 2))
  }
}

function known({ report, heardAt, firstHeardAt, isHeardHere, state }: Host): KnownHost {
  return { name: report.host, report, heardAt, firstHeardAt, isHeardHere, state }
}
