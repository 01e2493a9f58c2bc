/**
 * Relayed requests that wait for the first byte of an answer, by the address that owes it. Bounded by the relay's
 * connections: each waits at most once.
 */
export class Waiting {
  private readonly byAddress = new Map<string, Set<() => void>>()

  /** `onSilent` is called at most once. The answer takes it out again; calling it twice is allowed. */
  enter(address: string, onSilent: () => void): () => void {
    let waiters = this.byAddress.get(address)
    if (waiters === undefined) this.byAddress.set(address, (waiters = new Set()))
    waiters.add(onSilent)
    return () => {
      waiters.delete(onSilent)
      if (waiters.size === 0 && this.byAddress.get(address) === waiters) this.byAddress.delete(address)
    }
  }

  /** This address gives no sign of life. */
  fellSilent(address: string): void {
    const waiters = this.byAddress.get(address)
    this.byAddress.delete(address)
    for (const onSilent of waiters ?? []) onSilent()
  }

  get size(): number {
    let size = 0
    for (const waiters of this.byAddress.values()) size += waiters.size
    return size
  }
}
