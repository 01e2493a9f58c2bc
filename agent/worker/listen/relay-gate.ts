import { subnetSet } from '../../../contracts/subnet.ts'
import type { SubnetSet } from '../../../contracts/subnet.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'

/**
 * A center's relay listener takes connections from the configured networks only; others are closed before a byte of
 * theirs is read.
 */
export class RelayGate implements IntakeStep {
  private readonly tallies: Tallies
  private networks: readonly string[] = []
  private allowed: SubnetSet = subnetSet([])

  constructor(tallies: Tallies) {
    this.tallies = tallies
  }

  begin(arriving: Arriving, next: NextStep): void {
    const { spec, transport } = arriving
    if (spec.kind !== 'relay') {
      next(arriving)
      return
    }
    if (spec.allowedNetworks !== this.networks) {
      this.networks = spec.allowedNetworks
      this.allowed = subnetSet(spec.allowedNetworks)
    }
    if (this.allowed.has(transport.peer().address)) {
      next(arriving)
      return
    }
    this.tallies.relayStrangers++
    arriving.end()
  }
}
