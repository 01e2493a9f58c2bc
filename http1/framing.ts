import { Fault } from './fault.ts'
import type { Head } from './head.ts'
import { BodyKind } from './types.ts'

/** What Content-Length and Transfer-Encoding say of the body (R11, R13). 0, or a fault. */
export function readFraming(head: Head): number {
  if (head.isChunked) {
    if (head.contentLength >= 0) return Fault.lengthAndCoding
    if (head.minor === 0) return Fault.codingInOldVersion
    head.body = BodyKind.chunked
  } else if (head.contentLength > 0) {
    head.body = BodyKind.length
  }
  return 0
}
