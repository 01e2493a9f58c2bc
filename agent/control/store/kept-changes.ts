/** Which changes stay as history behind a snapshot: the newest, of each key a few: none drives out all others. */

export interface KeptBounds {
  readonly all: number
  /** Of one key. */
  readonly ofKey: number
}

/** Ascending, as they came. Pure. */
export function keptChanges<T extends { readonly key: string }>(ascending: readonly T[], bounds: KeptBounds): T[] {
  const counts = new Map<string, number>()
  const kept: T[] = []
  for (const change of ascending.toReversed()) {
    if (kept.length >= bounds.all) break
    const count = counts.get(change.key) ?? 0
    if (count >= bounds.ofKey) continue
    counts.set(change.key, count + 1)
    kept.push(change)
  }
  return kept.toReversed()
}
