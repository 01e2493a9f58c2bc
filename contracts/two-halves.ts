/**
 * A bounded map that forgets what was not used for longest, near enough: two maps, of which the older one is dropped
 * whole when the younger one is half of the bound. A map that is kept in order of use costs more with each deletion.
 */
export class TwoHalves<Value> {
  /** Entries that were dropped. */
  forgotten = 0
  private readonly half: number
  private young = new Map<string, Value>()
  private old = new Map<string, Value>()

  /** `most`: entries, from 2 on. */
  constructor(most: number) {
    this.half = Math.max(1, Math.floor(most / 2))
  }

  get size(): number {
    return this.young.size + this.old.size
  }

  /** A use. */
  get(key: string): Value | undefined {
    const known = this.young.get(key)
    if (known !== undefined) return known
    const older = this.old.get(key)
    if (older === undefined) return undefined
    this.old.delete(key)
    this.add(key, older)
    return older
  }

  set(key: string, value: Value): void {
    this.old.delete(key)
    if (this.young.has(key)) this.young.set(key, value)
    else this.add(key, value)
  }

  /** Those used last come last, near enough. */
  *entries(): Generator<[string, Value]> {
    yield* this.old
    yield* this.young
  }

  private add(key: string, value: Value): void {
    if (this.young.size >= this.half) {
      this.forgotten += this.old.size
      this.old = this.young
      this.young = new Map()
    }
    this.young.set(key, value)
  }
}
