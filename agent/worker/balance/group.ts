/** One locality group at work: its members, what it may carry now, and the picker over those that may be picked. */
import type { LoadBalancerSpec } from '../../../contracts/policy-spec.ts'
import type { LiveEndpoint } from './endpoint-state.ts'
import { LeastRequestPicker } from './least-request.ts'
import type { LocalityGroup, LocalityPlan } from './locality.ts'
import { KeyPicker } from './key-picker.ts'
import { MaglevTable } from './maglev.ts'
import { PeakEwmaPicker } from './peak-ewma.ts'
import type { Picker, PickerSettings } from './picker.ts'
import { RandomPicker } from './random.ts'
import { Ring } from './ring-hash.ts'
import { RoundRobinPicker } from './round-robin.ts'
import type { Random } from './types.ts'

export class Group {
  readonly name: string
  readonly share: number
  /** The eligible ones. */
  readonly members: readonly LiveEndpoint[]
  load = 0
  isPanicking = false
  pickable: readonly LiveEndpoint[] = []
  /** null while nothing of it may be picked. */
  picker: Picker | null = null
  /** Built from the members alone, so it stays while they stay. */
  private table: Ring | MaglevTable | null = null

  constructor(spec: LocalityGroup) {
    this.name = spec.name
    this.share = spec.share
    this.members = spec.members.filter((member) => member.isEligible)
  }

  countUsable(): number {
    let count = 0
    for (const member of this.members) if (member.isUsable) count++
    return count
  }

  /** Decides who may be picked and makes the picker for them. */
  settle(balancer: LoadBalancerSpec, warmupMs: number, now: number, random: Random): void {
    const pickable: LiveEndpoint[] = []
    let isWarming = false
    for (const member of this.members) {
      member.isPickable = member.isUsable || this.isPanicking
      if (!member.isPickable) continue
      pickable.push(member)
      if (member.warmUntil > now) isWarming = true
    }
    this.pickable = pickable
    this.picker =
      this.load === 0 || pickable.length === 0
        ? null
        : this.makePicker(balancer, pickable, { warmupMs, isWarming }, random)
  }

  private makePicker(
    balancer: LoadBalancerSpec,
    pickable: readonly LiveEndpoint[],
    settings: PickerSettings,
    random: Random,
  ): Picker {
    switch (balancer.kind) {
      case 'round-robin':
        return new RoundRobinPicker(pickable, settings, random, this.picker)
      case 'least-request':
        return new LeastRequestPicker(pickable, settings, balancer.choices)
      case 'peak-ewma':
        return new PeakEwmaPicker(pickable, settings, balancer.decayMs)
      case 'ring-hash': {
        const ring = this.table instanceof Ring ? this.table : new Ring(this.members, balancer.minimumRingSize)
        this.table = ring
        return new KeyPicker(ring, pickable, settings)
      }
      case 'maglev': {
        const table = this.table instanceof MaglevTable ? this.table : new MaglevTable(this.members, balancer.tableSize)
        this.table = table
        return new KeyPicker(table, pickable, settings)
      }
      // Passthrough looks the named address up itself; its picker is never asked.
      case 'random':
      case 'passthrough':
        return new RandomPicker(pickable, settings)
    }
  }
}

/** Those of a plan. A round robin goes on where the group `before` of the same name was. */
export function groupsOf(plan: LocalityPlan, before: readonly Group[]): Group[] {
  return plan.groups.map((spec) => {
    const group = new Group(spec)
    group.picker = before.find((old) => old.name === group.name)?.picker ?? null
    return group
  })
}
