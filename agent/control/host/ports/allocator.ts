/**
 * One port per name, the same on every start and on every host with the same names: the hash of the name says where to
 * look first, the next free port is taken.
 *
 * Order of rights: pinned ports, then what an earlier run has given (`ports.json`), then new names. A name that lost
 * its use keeps its port until the range is full. Why not the kernel's choice: an application's configuration holds the
 * port, so it must not move.
 */
import { MeshError } from '../../../../contracts/errors.ts'
import type { PortRange } from '../../config/scalars.ts'

export interface PortAssignment {
  readonly name: string
  readonly port: number
  readonly isPinned: boolean
}

export class PortAllocator {
  private range: PortRange
  private readonly byName = new Map<string, PortAssignment>()
  private readonly byPort = new Map<number, string>()
  private readonly inUse = new Set<string>()
  /** Ports that somebody else of this agent has, by owner. */
  private readonly taken: ReadonlyMap<number, string>

  /** @param remembered name to port of an earlier run; what does not fit the range any more is forgotten. */
  constructor(
    range: PortRange,
    remembered: Readonly<Record<string, number>> = {},
    taken: ReadonlyMap<number, string> = new Map(),
  ) {
    this.range = range
    this.taken = taken
    for (const [name, port] of Object.entries(remembered)) {
      if (!Number.isInteger(port) || port < range.first || port > range.last) continue
      if (this.byPort.has(port) || taken.has(port)) continue
      this.give(name, port, false)
    }
  }

  /** The port of a name. Throws E_PORT_RANGE_FULL, or E_LISTEN_IN_USE naming who has the pinned port. */
  assign(name: string, pinned?: number): number {
    const present = this.byName.get(name)
    if (present !== undefined && (pinned === undefined || present.port === pinned)) {
      this.byName.set(name, { ...present, isPinned: pinned !== undefined })
      this.inUse.add(name)
      return present.port
    }
    if (pinned !== undefined) {
      const owner = this.taken.get(pinned) ?? this.byPort.get(pinned)
      const ownerIsPinned = owner !== undefined && (this.taken.has(pinned) || this.byName.get(owner)?.isPinned === true)
      if (ownerIsPinned)
        throw new MeshError(
          'E_LISTEN_IN_USE',
          `port ${pinned} for ${name}: already the port of ${owner}; only ${name} is left without a port`,
        )
      if (owner !== undefined) this.forget(owner)
      if (present !== undefined) this.forget(name)
      this.give(name, pinned, true)
      this.inUse.add(name)
      // whoever had the port by allocation gets another one; it has no promise on a pinned port
      if (owner !== undefined && this.inUse.has(owner)) this.assign(owner)
      return pinned
    }
    const port = this.freePort(name)
    this.give(name, port, false)
    this.inUse.add(name)
    return port
  }

  /** The name is not used at the moment; its port is kept for it while there is room. */
  release(name: string): void {
    this.inUse.delete(name)
  }

  portOf(name: string): number | undefined {
    return this.byName.get(name)?.port
  }

  nameOf(port: number): string | undefined {
    return this.byPort.get(port)
  }

  /** For `ports.json`. */
  remembered(): Record<string, number> {
    return Object.fromEntries([...this.byName.values()].map(({ name, port }) => [name, port]))
  }

  private freePort(name: string): number {
    const count = this.range.last - this.range.first + 1
    const start = hash(name) % count
    let spare: number | undefined
    for (let step = 0; step < count; step++) {
      const port = this.range.first + ((start + step) % count)
      if (this.taken.has(port)) continue
      const owner = this.byPort.get(port)
      if (owner === undefined) return port
      if (spare === undefined && !this.inUse.has(owner)) spare = port
    }
    if (spare === undefined)
      throw new MeshError(
        'E_PORT_RANGE_FULL',
        `${name}: all ${count} ports of ${this.range.first}-${this.range.last} are in use; only this name is left without a port; widen the range`,
      )
    this.forget(this.byPort.get(spare)!)
    return spare
  }

  private give(name: string, port: number, isPinned: boolean): void {
    this.byName.set(name, { name, port, isPinned })
    this.byPort.set(port, name)
  }

  private forget(name: string): void {
    const present = this.byName.get(name)
    if (present === undefined) return
    this.byName.delete(name)
    this.byPort.delete(present.port)
  }
}

/** FNV-1a, 32 bits: stable for ever, spread well enough for a few hundred names. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0
  return value
}
