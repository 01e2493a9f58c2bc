/** More are not remembered; the one longest so is forgotten. */
const maxNames = 1000

/** Control is asked again about each of them, ms. */
const askPauseMs = 1000

/**
 * Names about which nobody answered in time: whoever may ask somebody else than us does not wait for them a second
 * time. They are asked again while requests name them.
 */
export class SilentNames {
  private readonly ask: (names: readonly string[]) => void
  /** When each was asked last, monotonic ms. */
  private readonly names = new Map<string, number>()

  constructor(ask: (names: readonly string[]) => void) {
    this.ask = ask
  }

  add(name: string, now: number): void {
    this.names.delete(name)
    this.names.set(name, now)
    if (this.names.size <= maxNames) return
    for (const oldest of this.names.keys()) {
      this.names.delete(oldest)
      return
    }
  }

  has(name: string, now: number): boolean {
    const askedAt = this.names.get(name)
    if (askedAt === undefined) return false
    if (now - askedAt >= askPauseMs) {
      this.add(name, now)
      this.ask([name])
    }
    return true
  }

  /** Keeps those that still have no answer. */
  dropAnswered(isAnswered: (name: string) => boolean): void {
    for (const name of this.names.keys()) if (isAnswered(name)) this.names.delete(name)
  }
}
