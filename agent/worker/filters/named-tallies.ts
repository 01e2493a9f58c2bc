/** Names that are counted by themselves; those beyond it are one, `other`. */
const maxNames = 4096

/** Counts by name and by what happened under it, which go on over a hot restart. */
export class NamedTallies<Field extends string> {
  private readonly words: readonly (readonly [field: Field, word: string])[]
  private readonly tallies = new Map<string, Record<Field, number>>()

  /** Each count with what metrics call it. */
  constructor(words: readonly (readonly [field: Field, word: string])[]) {
    this.words = words
  }

  /** The same object for the same name, for good. */
  tally(name: string): Record<Field, number> {
    const counted = this.tallies.has(name) || this.tallies.size < maxNames ? name : 'other'
    let tally = this.tallies.get(counted)
    if (tally === undefined) {
      tally = Object.fromEntries(this.words.map(([field]) => [field, 0])) as Record<Field, number>
      this.tallies.set(counted, tally)
    }
    return tally
  }

  /** Labels are the name and what happened; only what did. */
  samples(): { readonly labels: readonly string[]; readonly value: number }[] {
    return [...this.tallies].flatMap(([name, tally]) =>
      this.words.flatMap(([field, word]) => (tally[field] === 0 ? [] : { labels: [name, word], value: tally[field] })),
    )
  }

  reset(): void {
    for (const tally of this.tallies.values()) for (const [field] of this.words) tally[field] = 0
  }

  /** As of now: whoever exports counts from zero before it is sent. */
  exportState(): unknown {
    return Object.fromEntries([...this.tallies].map(([name, tally]) => [name, { ...tally }]))
  }

  /** Adds a predecessor's counts; tolerates anything. */
  importState(state: unknown): void {
    if (typeof state !== 'object' || state === null) return
    for (const [name, counts] of Object.entries(state)) {
      if (typeof counts !== 'object' || counts === null) continue
      const tally = this.tally(name)
      for (const [field] of this.words) {
        const count: unknown = (counts as Record<string, unknown>)[field]
        if (typeof count === 'number' && Number.isFinite(count)) tally[field] += count
      }
    }
  }
}
