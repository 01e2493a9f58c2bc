/** Counts the calls of this application, and bounds how many there are at once. */
import { MeshError } from '../contracts/errors.ts'
import type { Alive } from './alive.ts'
import type { ServedBy } from './status.ts'

export class CallBook {
  private readonly maxCalls: number
  private readonly alive: Alive
  /** Under way. */
  active = 0
  /** Ended without a reply. */
  failed = 0
  /** Sent on after an attempt that failed. */
  repeated = 0
  /** Refused because too many were under way. */
  refused = 0
  readonly byTier: Record<ServedBy, number> = { agent: 0, center: 0, direct: 0, registry: 0 }

  constructor(maxCalls: number, alive: Alive) {
    this.alive = alive
    this.maxCalls = maxCalls
  }

  /** Throws E_OVERLOAD. */
  enter(service: string): void {
    if (this.active >= this.maxCalls) {
      this.refused++
      throw new MeshError('E_OVERLOAD', `${service}: ${this.maxCalls} calls are under way already; nothing was sent`)
    }
    this.active++
    this.alive.begin()
  }

  leave(): void {
    this.active--
    this.alive.end()
  }

  served(tier: ServedBy): void {
    this.byTier[tier]++
  }
}
