import { BodyKind } from './types.ts'
import type { BodyLimits } from './types.ts'

/**
 * Finds the end of one message's body after another, and says which of its bytes may pass.
 *
 * `feed` answers how many bytes it took (> 0) or a negative `Fault`. After each feed, `runs` holds `runCount` pairs `[from, to)` into the same buffer, in order:
 * - wire runs (`unframes` false): the body with its framing, fit to be sent as it is to an HTTP/1.1 peer. Chunk extensions are left out, so they break a run.
 * - payload runs (`unframes` true): the content alone, for an HTTP/1.0 caller or for re-framing.
 * It may take less than it was given (its run table is full, or the message is over): loop until all is taken or `isDone`. Bytes after the end are the next message's.
 * When `isDone` and `tail` is not null, `tail` (kept trailer fields and the last empty line) must be sent after the runs of that feed.
 */
export class BodyReader {
  readonly runs = new Int32Array(128)
  runCount = 0
  isDone = true
  tail: Buffer | null = null
  kind: BodyKind = BodyKind.none
  /** Content bytes seen so far, without framing. */
  contentBytes = 0

  /**
   * Starts the next body. contentLength: only for `BodyKind.length`. keepsTrailers: whether trailer fields other than the forbidden ones pass (R16);
   * requests: true; replies: when the caller said `TE: trailers`.
   */
  begin(kind: BodyKind, contentLength: number, unframes: boolean, keepsTrailers: boolean, limits: BodyLimits): void {
    void contentLength
    void unframes
    void keepsTrailers
    void limits
    this.kind = kind
  }

  feed(buf: Buffer, start: number, end: number): number {
    void buf
    return end - start
  }

  /** The connection ended here: true when that ends the body properly (close-delimited or tunnel, or already done), false when it was cut short (R26). */
  endOfInput(): boolean {
    return this.isDone
  }
}
