/**
 * Bounds of a center's relay listener: connections of one address and of all. A host that lost its agent brings all its
 * applications at once; the bound per host keeps it from taking the center away from the others. Beside it a host holds
 * at most as many as are free (dynamic thresholds of shared buffers): one alone has its bound, and when many come at
 * once, each gets about the same, whoever came first, and there is a place for the one that comes last.
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
    if (count >= Math.min(maxPerHost, maxInAll - this.total)) {
      this.shed++
      return false
    }
    this.byHost.set(host, count + 1)
    this.total++
    return true
  }

  /** A connection that was admitted before, in another process: past the bounds. To be paired with `leave`. */
  takeOver(host: string): void {
    this.byHost.set(host, (this.byHost.get(host) ?? 0) + 1)
    this.total++
  }

  leave(host: string): void {
    const count = this.byHost.get(host) ?? 0
    if (count <= 1) this.byHost.delete(host)
    else this.byHost.set(host, count - 1)
    this.total--
  }
}
