import type { StoreEntry, StoreVersion } from './store.ts'

/** Versions of a key, newest first, with the present one where it is older than all that was kept of changes. */
export function withPresent(
  found: readonly StoreVersion[],
  present: StoreEntry | undefined,
  limit: number,
): readonly StoreVersion[] {
  const newest = found[0]?.revision ?? 0
  return present === undefined || newest >= present.revision
    ? found
    : [{ ...present, at: undefined }, ...found].slice(0, limit)
}
