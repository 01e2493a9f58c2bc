/**
 * Descriptors kept back for the moment in which none is left: without them the watchdog could neither cover a dead
 * worker nor write down why. Taken when the process starts; given up in one go at the first shortage, taken back when
 * there is room again.
 */
import { closeSync, openSync } from 'node:fs'

export class DescriptorReserve {
  private readonly wanted: number
  private kept: number[] = []

  constructor(count: number) {
    this.wanted = count
    this.refill()
  }

  get size(): number {
    return this.kept.length
  }

  release(): void {
    for (const descriptor of this.kept) closeSync(descriptor)
    this.kept = []
  }

  refill(): void {
    try {
      while (this.kept.length < this.wanted) this.kept.push(openSync('/dev/null', 'r'))
    } catch {
      // Still short; the next refill tries again.
    }
  }
}
