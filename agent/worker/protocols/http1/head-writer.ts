import type { Head } from './head.ts'
import type { ReplyPlan, RequestPlan } from './types.ts'

/**
 * Writes forwarded heads: unchanged runs of the received head are copied as runs, hop-by-hop fields (R17, R18) and identity fields (R36) are left out,
 * edits are applied, `Via` is added. One per worker; it holds no state of a message.
 *
 * `request` and `reply` answer the position after the last byte written, or -1 when `out` might be too small: then nothing useful was written, and the caller
 * offers a buffer of at least `roomFor(head, plan)` bytes.
 */
export class HeadWriter {
  /** pseudonym: our name in Via, a token (RFC 9110 section 7.6.3). */
  constructor(pseudonym: string) {
    this.pseudonym = pseudonym
  }

  readonly pseudonym: string

  request(out: Buffer, at: number, head: Head, plan: RequestPlan): number {
    void out
    void head
    void plan
    return at
  }

  reply(out: Buffer, at: number, head: Head, plan: ReplyPlan): number {
    void out
    void head
    void plan
    return at
  }

  /** Upper bound of what `request` or `reply` writes. */
  roomFor(head: Head, plan: RequestPlan | ReplyPlan): number {
    void plan
    return head.end - head.start
  }
}
