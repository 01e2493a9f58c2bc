/** Places for streams of discovery, so many in all and for one address, so that nobody shuts the port to the others. */
import { quotaKey } from '../../contracts/quota-key.ts'

const most = 4000
/** Proxies and clients of one host, or hosts behind one address. Of IPv6 a /64 is one address. */
const mostOfAddress = 1000

export class StreamPlaces {
  private readonly counts = new Map<string, number>()
  private all = 0

  /** Why there is no place; undefined = it is taken, until `leave`. */
  enter(address: string): string | undefined {
    const key = quotaKey(address)
    const count = this.counts.get(key) ?? 0
    if (count >= mostOfAddress) return `${mostOfAddress} streams of ${key} are open, which is the bound of one address`
    if (this.all >= most) return `${most} streams are open, which is the bound`
    this.counts.set(key, count + 1)
    this.all++
    return undefined
  }

  /** Once for each place that was taken. */
  leave(address: string): void {
    const key = quotaKey(address)
    const left = this.counts.get(key)! - 1
    if (left === 0) this.counts.delete(key)
    else this.counts.set(key, left)
    this.all--
  }
}
