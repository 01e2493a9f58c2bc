/** How many are kept at rest; more are made when needed and left to the collector afterwards. */
const maxKept = 1024

/**
 * Objects of one kind at rest, for reuse: the one used last comes first, so that the working set stays small. Each
 * comes back by itself, to the store that made it.
 */
export class Spares<T> {
  private readonly kept: T[] = []
  private readonly make: (home: Spares<T>) => T
  private readonly retire: ((one: T) => void) | null
  private readonly most: number

  /** `retire` ends one that is not kept any more; nothing has to be ended where it is null. */
  constructor(make: (home: Spares<T>) => T, retire: ((one: T) => void) | null, most = maxKept) {
    this.make = make
    this.retire = retire
    this.most = most
  }

  take(): T {
    return this.kept.pop() ?? this.make(this)
  }

  give(one: T): void {
    if (this.kept.length < this.most) this.kept.push(one)
    else this.retire?.(one)
  }

  /** What is kept was made for settings that are no longer. */
  clear(): void {
    if (this.retire !== null) for (const one of this.kept) this.retire(one)
    this.kept.length = 0
  }
}
