/**
 * Looks at the instances of hosts whose agent is silent, and at no others: n hosts and m instances cost m checks by the
 * agents and the instances of the silent hosts here, not n times m.
 *
 * An instance is unhealthy after two failed connections, a second apart, and healthy after one that succeeds; at most
 * 256 connections are under way. The host decides by itself again as soon as it is believed (`host-table.ts`).
 */
import { endpointId } from '../../contracts/endpoint.ts'
import type { Clock } from '../../contracts/clock.ts'
import type { UnhealthyInstances } from './unhealthy-instances.ts'

export interface Place {
  readonly address: string
  readonly port: number
}

export interface SilentHostsDeps {
  readonly clock: Clock
  readonly unhealthy: UnhealthyInstances
  /** Instances that somebody subscribed to, at these addresses. */
  instancesAt(addresses: ReadonlySet<string>): readonly Place[]
  /** Resolves when the instance takes a connection. */
  connect(place: Place): Promise<void>
  onProbe(isThere: boolean): void
}

interface Watched {
  readonly address: string
  failures: number
  isUnhealthy: boolean
  isAsked: boolean
  /** Monotonic ms. */
  dueAt: number
}

const failuresUntilUnhealthy = 2
const secondLookMs = 900
const pauseMs = 5000
const maxProbes = 256
/** What is found out within this time is told at once: each change costs every service that somebody uses. */
const tellMs = 100

export class SilentHosts {
  private readonly deps: SilentHostsDeps
  private readonly watched = new Map<string, Watched>()
  private probes = 0
  private isTelling = false
  private silent: ReadonlySet<string> = new Set()

  constructor(deps: SilentHostsDeps) {
    this.deps = deps
  }

  /** What an earlier center had found out; looked at again as soon as somebody subscribes. */
  adopt(unhealthy: readonly Place[]): void {
    for (const { address, port } of unhealthy)
      this.watched.set(endpointId({ address, port }), {
        address,
        failures: failuresUntilUnhealthy,
        isUnhealthy: true,
        isAsked: false,
        dueAt: 0,
      })
    this.tell()
  }

  /** `silent`: addresses of silent hosts; `returning`: of hosts that are not believed yet, whose marks stay. */
  look(silent: ReadonlySet<string>, returning: ReadonlySet<string>): void {
    this.silent = silent
    for (const [id, { address }] of this.watched)
      if (!silent.has(address) && !returning.has(address)) this.watched.delete(id)
    if (silent.size > 0) this.probe(silent)
    this.tell()
  }

  unhealthyAt(address: string): string[] {
    return [...this.watched].flatMap(([id, one]) => (one.address === address && one.isUnhealthy ? [id] : [])).toSorted()
  }

  places(): Place[] {
    return [...this.watched].flatMap(([id, { address, isUnhealthy }]) =>
      isUnhealthy ? [{ address, port: Number(id.slice(id.lastIndexOf(':') + 1)) }] : [],
    )
  }

  private probe(silent: ReadonlySet<string>): void {
    const now = this.deps.clock.monotonic()
    const places = new Map(this.deps.instancesAt(silent).map((place) => [endpointId(place), place]))
    for (const [id, { address }] of places)
      if (!this.watched.has(id))
        this.watched.set(id, { address, failures: 0, isUnhealthy: false, isAsked: false, dueAt: 0 })
    const due = [...this.watched].filter(([id, one]) => places.has(id) && !one.isAsked && now >= one.dueAt)
    for (const [id, one] of due.toSorted(([, a], [, b]) => a.dueAt - b.dueAt)) {
      if (this.probes >= maxProbes) return
      void this.ask(id, one, places.get(id)!)
    }
  }

  private async ask(id: string, one: Watched, place: Place): Promise<void> {
    one.isAsked = true
    this.probes++
    const isThere = await this.deps.connect(place).then(
      () => true,
      () => false,
    )
    this.probes--
    one.isAsked = false
    this.deps.onProbe(isThere)
    // its host spoke meanwhile
    if (this.watched.get(id) !== one || !this.silent.has(one.address)) return
    one.failures = isThere ? 0 : one.failures + 1
    one.isUnhealthy = one.failures >= failuresUntilUnhealthy
    const isUndecided = one.failures > 0 && !one.isUnhealthy
    one.dueAt = this.deps.clock.monotonic() + (isUndecided ? secondLookMs : pauseMs)
    this.tellSoon()
  }

  private tellSoon(): void {
    if (this.isTelling) return
    this.isTelling = true
    this.deps.clock.after(tellMs, () => {
      this.isTelling = false
      this.tell()
    })
  }

  private tell(): void {
    this.deps.unhealthy.replace(
      new Set([...this.watched].flatMap(([id, { isUnhealthy }]) => (isUnhealthy ? [id] : []))),
    )
  }
}
