/**
 * One instance of this application, announced where the mode of its service says: by the mesh at the agent, which opens
 * an inbound port for it, directly at the registry. When the mode changes it is announced at the new place first, and
 * taken back at the old one in two steps: it is switched off there while it still serves, and taken back when callers
 * have had time to hear of that.
 */
import type { Clock } from '../contracts/clock.ts'
import { metadataKeys } from '../contracts/endpoint.ts'
import { describeError, MeshError } from '../contracts/errors.ts'
import type { Registration, RegistrationHandle } from '../contracts/registry-adapter.ts'
import type { ActiveMode } from './status.ts'
import type { Registered, RegisterOptions } from './types.ts'

export interface RegistrarDeps {
  readonly clock: Clock
  readonly overlapMs: number
  readonly activeMode: (service: string) => ActiveMode
  /** Where a mode announces, or why it cannot now: asked again. */
  readonly place: (mode: ActiveMode) => Place | string
  /** Why what was announced there is not confirmed, where that is known. */
  readonly problemAt: (mode: ActiveMode) => string | undefined
  readonly onProblem: (message: string) => void
  /** It is taken back, and nothing more will come of it. */
  readonly onOver: (self: Announced) => void
}

export type Place = (registration: Registration) => RegistrationHandle

type Change = Parameters<Registered['update']>[0]

interface Stand {
  readonly activeMode: ActiveMode
  readonly handle: RegistrationHandle
}

/** Between two looks at what has become of an announcement, ms. */
const lookMs = 100
const deregisterMs = 3000

export class Announced implements Registered {
  readonly service: string
  private readonly deps: RegistrarDeps
  private wanted: Registration
  private present: Stand | undefined
  /** Announced, not yet confirmed. */
  private coming: Stand | undefined
  /** Still standing for callers that have not heard yet. */
  private leaving: { readonly stand: Stand; readonly cancel: () => void } | undefined
  private cancel: (() => void) | undefined
  private isOver = false
  /** Why there was no place for it. */
  private unplaced: string | undefined

  constructor(service: string, registration: Registration, deps: RegistrarDeps) {
    this.service = service
    this.wanted = registration
    this.deps = deps
    this.review()
  }

  /** `registered`: callers can hear of it. */
  get state(): 'pending' | 'registered' | 'failing' {
    return this.present?.handle.state ?? this.coming?.handle.state ?? 'pending'
  }

  /** Why it is not announced where it should be. */
  get problem(): string | undefined {
    const stand = this.coming ?? this.present
    if (this.unplaced !== undefined || stand === undefined || stand.handle.state === 'registered') return this.unplaced
    return this.deps.problemAt(stand.activeMode)
  }

  /** Where it is announced now; undefined = nowhere yet. */
  get activeMode(): ActiveMode | undefined {
    const { coming } = this
    return (this.present ?? (coming?.handle.state === 'registered' ? coming : undefined))?.activeMode
  }

  /** Tells callers whether this instance can take calls; nothing else is changed. */
  setHealthy(healthy: boolean): void {
    this.update({ healthy })
  }

  /** Metadata are replaced, but for the protocol, which `register` said. */
  update(change: Change): void {
    const { metadata } = change
    const protocol = this.wanted.metadata[metadataKeys.protocol]
    const whole =
      metadata === undefined || protocol === undefined
        ? change
        : { ...change, metadata: { ...metadata, [metadataKeys.protocol]: protocol } }
    this.wanted = { ...this.wanted, ...whole }
    for (const stand of [this.present, this.coming, this.leaving?.stand]) stand?.handle.update(whole)
  }

  /** Takes it back everywhere. Resolves when that is confirmed or 3 s are over. */
  async deregister(): Promise<void> {
    if (this.isOver) return
    this.isOver = true
    this.cancel?.()
    this.leaving?.cancel()
    const stands = [this.present, this.coming, this.leaving?.stand]
    await Promise.all(stands.map((stand) => stand?.handle.deregister(deregisterMs) ?? Promise.resolve()))
    this.deps.onOver(this)
  }

  /** Where this mode announced is nobody any more: nothing is taken back there, and the next review announces anew. */
  forget(mode: ActiveMode): void {
    if (this.present?.activeMode === mode) this.present = undefined
    if (this.coming?.activeMode === mode) this.coming = undefined
    if (this.leaving?.stand.activeMode === mode) {
      this.leaving.cancel()
      this.leaving = undefined
    }
  }

  /** The mode may be another one now. */
  review(): void {
    if (this.isOver) return
    this.cancel?.()
    this.cancel = undefined
    const mode = this.deps.activeMode(this.service)
    if (this.coming !== undefined && this.coming.activeMode !== mode) this.give(this.coming)
    if (this.coming?.activeMode !== mode) this.coming = undefined
    if (this.present?.activeMode === mode) return
    if (this.leaving?.stand.activeMode === mode) {
      // back before it was taken back: it still stands
      const { stand, cancel } = this.leaving
      cancel()
      this.leaving = undefined
      stand.handle.update({ enabled: true })
      this.become(stand)
      return
    }
    try {
      this.coming ??= this.announce(mode)
    } catch (error) {
      this.unplaced = describeError(error)
      this.deps.onProblem(`${this.service}: not announced: ${this.unplaced}`)
      return
    }
    if (this.coming?.handle.state === 'registered') {
      const { coming } = this
      this.coming = undefined
      this.become(coming)
      return
    }
    this.cancel = this.deps.clock.after(lookMs, () => this.review())
  }

  private announce(mode: ActiveMode): Stand | undefined {
    const place = this.deps.place(mode)
    this.unplaced = typeof place === 'string' ? place : undefined
    return typeof place === 'string' ? undefined : { activeMode: mode, handle: place(this.wanted) }
  }

  private become(stand: Stand): void {
    const before = this.present
    this.present = stand
    if (before === undefined) return
    if (this.leaving !== undefined) {
      this.leaving.cancel()
      this.give(this.leaving.stand)
    }
    // first both are called, then the old one is called by those alone who have not heard, then by nobody
    const { clock, overlapMs } = this.deps
    let cancel = clock.after(overlapMs / 2, () => {
      before.handle.update({ enabled: false })
      cancel = clock.after(overlapMs / 2, () => {
        this.leaving = undefined
        this.give(before)
      })
    })
    this.leaving = { stand: before, cancel: () => cancel() }
  }

  private give(stand: Stand): void {
    stand.handle.deregister(deregisterMs).catch((error: unknown) => this.deps.onProblem(describeError(error)))
  }
}

/** Throws E_CONFIG_INVALID. */
export function checkRegister(options: RegisterOptions): void {
  const { port, weight, service } = options
  const isPort = Number.isInteger(port) && port >= 1 && port <= 65_535
  if (!isPort) throw new MeshError('E_CONFIG_INVALID', `${service}: port: found ${port}, allowed 1 to 65535`)
  if (weight !== undefined && !(weight >= 0 && weight <= 10_000))
    throw new MeshError('E_CONFIG_INVALID', `${service}: weight: found ${weight}, allowed 0 to 10000`)
}
