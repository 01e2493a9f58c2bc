/**
 * Bounds of a center's relay listener: connections of one address and of all. A host that lost its agent brings all its applications at once; the bound per host keeps it from
 * taking the center away from the others.
 */
export class RelayAdmission {
  private readonly byHost = new Map<string, number>()
  private total = 0
  shed = 0

  get connections(): number {
    return this.total
  }

  /** true must be paired with `leave`. */
  enter(host: string, maxPerHost: number, maxInAll: number): boolean {
    const count = this.byHost.get(host) ?? 0
    if (count >= maxPerHost || this.total >= maxInAll) {
      this.shed++
      return false
    }
    this.byHost.set(host, count + 1)
    this.total++
    return true
  }

  leave(host: string): void {
    const count = this.byHost.get(host) ?? 0
    if (count <= 1) this.byHost.delete(host)
    else this.byHost.set(host, count - 1)
    this.total--
  }
}
