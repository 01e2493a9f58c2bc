/** Base64 (RFC 4648 section 4) that comes in pieces, each of which may end with padding of its own. */

const quantum = 4

/** -1 = not of the alphabet. */
const values = new Int8Array(256).fill(-1)
for (const [value, letter] of Buffer.from(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
  'latin1',
).entries()) {
  values[letter] = value
}
const padding = 0x3d

/** Reads it wherever it is cut. Bound: four characters are kept. */
export class Base64Reader {
  private readonly kept = Buffer.alloc(quantum)
  private count = 0

  /** What `buf[from..to)` says, as memory of its own; null = it is no base64, and neither is what follows. */
  take(buf: Buffer, from: number, to: number): Buffer | null {
    const out = Buffer.allocUnsafe(Math.ceil((this.count + to - from) / quantum) * 3)
    let length = 0
    for (let at = from; at < to; at++) {
      this.kept[this.count++] = buf[at]!
      if (this.count < quantum) continue
      this.count = 0
      const bytes = this.decode(out, length)
      if (bytes < 0) return null
      length += bytes
    }
    return out.subarray(0, length)
  }

  /** Nothing of a quantum is in hand. */
  get isBetween(): boolean {
    return this.count === 0
  }

  /** Bytes of the quantum in hand, put into `out`; -1 = malformed. */
  private decode(out: Buffer, at: number): number {
    const { kept } = this
    const pads = kept[3] !== padding ? 0 : kept[2] !== padding ? 1 : 2
    let bits = 0
    for (let n = 0; n < quantum - pads; n++) {
      const value = values[kept[n]!]!
      if (value < 0) return -1
      bits |= value << (18 - 6 * n)
    }
    out[at] = bits >>> 16
    if (pads < 2) out[at + 1] = bits >>> 8
    if (pads < 1) out[at + 2] = bits
    return 3 - pads
  }
}
