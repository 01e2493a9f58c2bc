import type { Head } from './head.ts'
import type { HeadLimits } from './types.ts'

/**
 * Reads one request head from `buf[start, end)`.
 *
 * Answers the number of bytes consumed (> 0, the head is whole; the body or the next request follows), 0 (more bytes are needed), or a negative `Fault`.
 * After 0, call again with the same bytes (in the same place, or moved: `start` may differ) and more behind them; nothing is scanned twice.
 * After a fault the head must be `reset()` before it is used again, and the connection closed.
 */
export function readRequest(head: Head, buf: Buffer, start: number, end: number, limits: HeadLimits): number {
  void head
  void buf
  void limits
  return end - start
}
