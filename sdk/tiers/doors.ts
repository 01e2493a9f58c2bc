/**
 * The doors of this application: made when first used, each asked for signs of life, left when nothing names it any
 * more.
 */
import type { Clock } from '../../contracts/clock.ts'
import type { RpcCodec } from '../../rpc/codec.ts'
import { readAddress, readCenterAddress } from '../options.ts'
import { Door } from './door.ts'
import type { Sign } from './door.ts'
import type { Introduction } from './introduction.ts'
import { signOverHttp, signOverRpc } from './signs.ts'

export interface DoorsDeps {
  readonly clock: Clock
  readonly introduction: Introduction
  readonly codec: (name: string) => RpcCodec | undefined
  readonly onChange: (door: Door, kind: 'agent' | 'center') => void
}

/** Of one kind; an agent has a handful of ports, a mesh a handful of centers. */
const maxDoors = 64

export class Doors {
  private readonly deps: DoorsDeps
  private readonly agents = new Map<string, Door>()
  private readonly centers = new Map<string, Door>()

  constructor(deps: DoorsDeps) {
    this.deps = deps
  }

  agentDoor(address: string, protocol: string): Door {
    const key = `${protocol} ${address}`
    const { clock, codec } = this.deps
    const spoken = protocol === 'http' ? undefined : codec(protocol)
    return this.door(this.agents, key, address, 'agent', () => {
      const read = readAddress(address)!
      return spoken === undefined ? signOverHttp(read, clock) : signOverRpc(read, clock, spoken)
    })
  }

  /** undefined = centers want a proof that this application cannot give. */
  centerDoor(address: string): Door | undefined {
    const { clock, introduction } = this.deps
    if (introduction.problem !== undefined) return undefined
    return this.door(this.centers, address, address, 'center', () =>
      signOverHttp(readCenterAddress(address)!, clock, () => introduction.header('', false)),
    )
  }

  /** Doors at these addresses stay; centers are asked seldom while the agent serves. */
  keep(agents: readonly string[], centers: readonly string[], isCalm: boolean): void {
    for (const center of centers) this.centerDoor(center)
    const wanted = new Set([...agents, ...centers])
    for (const doors of [this.agents, this.centers])
      for (const [key, door] of doors)
        if (!wanted.has(door.address)) {
          door.close()
          doors.delete(key)
        }
    for (const door of this.centers.values()) door.watch(isCalm)
  }

  each(): readonly { readonly kind: 'agent' | 'center'; readonly door: Door }[] {
    return [
      ...[...this.agents.values()].map((door) => ({ kind: 'agent' as const, door })),
      ...[...this.centers.values()].map((door) => ({ kind: 'center' as const, door })),
    ]
  }

  close(): void {
    for (const { door } of this.each()) door.close()
  }

  private door(
    doors: Map<string, Door>,
    key: string,
    address: string,
    kind: 'agent' | 'center',
    ask: () => Promise<Sign>,
  ): Door {
    let door = doors.get(key)
    if (door === undefined) {
      if (doors.size >= maxDoors) {
        const [first] = doors
        first![1].close()
        doors.delete(first![0])
      }
      const { clock, onChange } = this.deps
      door = new Door(address, { clock, ask, onChange: (changed) => onChange(changed, kind) })
      doors.set(key, door)
      door.watch(kind === 'center')
    }
    return door
  }
}
