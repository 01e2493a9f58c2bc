/** A set of lower-case field names, made ready for comparison with bytes. */
export class DropMatcher {
  private readonly names: readonly Uint8Array[]

  constructor(names: ReadonlySet<string>) {
    this.names = [...names].map((name) => Buffer.from(name.toLowerCase(), 'latin1'))
  }

  /** Whether the name at `buf[start, end)` is in the set, in any case. */
  has(buf: Buffer, start: number, end: number): boolean {
    const names = this.names
    for (let n = 0; n < names.length; n++) {
      const name = names[n] as Uint8Array
      if (name.length !== end - start) continue
      let i = 0
      while (i < name.length && lowerCase(buf[start + i] as number) === name[i]) i++
      if (i === name.length) return true
    }
    return false
  }
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
}
