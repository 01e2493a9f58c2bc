/**
 * Runs the codec over a byte stream the way a connection does: pieces, a buffer that is reused, half-read heads kept.
 */
import { BodyReader } from '../../../http1/body-reader.ts'
import { Head } from '../../../http1/head.ts'
import { readReply } from '../../../http1/read-reply.ts'
import { readRequest } from '../../../http1/read-request.ts'
import { StringCache } from '../../../http1/string-cache.ts'
import { BodyKind, Method } from '../../../http1/types.ts'
import { defaultLimits } from '../../../contracts/snapshot.ts'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'

export interface SeenMessage {
  readonly method: string
  readonly target: string
  readonly status: number
  readonly fields: readonly (readonly [string, string])[]
  body: string
  isComplete: boolean
}

export interface SeenStream {
  readonly messages: SeenMessage[]
  /** 0 = none. */
  fault: number
  /** Bytes after an upgrade, or after a message that ends the connection: they are read by nobody. */
  rest: string
  /** Whether the end of input here is between messages or ends a close-delimited body. */
  endsCleanly: boolean
}

export interface DriverOptions {
  readonly pieceBytes?: number
  readonly limits?: LimitsSpec
  /** Replies answer this method; `upgradeAsked` of `readReply`. */
  readonly requestMethod?: Method
  readonly upgradeAsked?: boolean
  readonly isReply?: boolean
}

export function readStream(input: Buffer, options: DriverOptions = {}): SeenStream {
  const limits = options.limits ?? defaultLimits
  const pieceBytes = options.pieceBytes ?? Math.max(1, input.length)
  const head = new Head(new StringCache(), limits.maxFields)
  const body = new BodyReader()
  const seen: SeenStream = { messages: [], fault: 0, rest: '', endsCleanly: true }
  let held = Buffer.alloc(0)
  let isInBody = false
  let isTunnel = false
  let isOver = false

  for (let from = 0; from < input.length; from += pieceBytes) {
    const piece = Buffer.from(input.subarray(from, from + pieceBytes))
    const work = Buffer.concat([held, piece])
    let at = 0
    held = Buffer.alloc(0)
    while (at < work.length) {
      if (isTunnel || isOver) {
        seen.rest += work.toString('latin1', at)
        break
      }
      if (!isInBody) {
        const taken =
          options.isReply === true
            ? readReply(
                head,
                work,
                at,
                work.length,
                limits,
                options.requestMethod ?? Method.get,
                options.upgradeAsked ?? false,
              )
            : readRequest(head, work, at, work.length, limits)
        if (taken < 0) {
          seen.fault = taken
          seen.endsCleanly = false
          return seen
        }
        if (taken === 0) {
          held = work.subarray(at)
          break
        }
        at += taken
        seen.messages.push({
          method: options.isReply === true ? '' : head.method,
          target: options.isReply === true ? '' : work.toString('latin1', head.targetStart, head.targetEnd),
          status: head.status,
          fields: Array.from({ length: head.fieldCount }, (_, i) => [head.nameOf(i), head.valueOf(i)] as const),
          body: '',
          isComplete: false,
        })
        body.begin(head.body, head.contentLength, true, true, limits)
        if (head.upgradesToWebSocket || head.body === BodyKind.tunnel) isTunnel = true
        isInBody = !body.isDone
        if (!isInBody || isTunnel) (seen.messages.at(-1) as SeenMessage).isComplete = true
        if (!isInBody && !head.keepsAlive && head.status !== 100) isOver = true
        continue
      }
      const taken = body.feed(work, at, work.length)
      if (taken < 0) {
        seen.fault = taken
        seen.endsCleanly = false
        return seen
      }
      const message = seen.messages.at(-1) as SeenMessage
      for (let i = 0; i < body.runCount; i++)
        message.body += work.toString('latin1', body.runs[i * 2] as number, body.runs[i * 2 + 1] as number)
      at += taken
      if (body.isDone) {
        isInBody = false
        message.isComplete = true
        if (!head.keepsAlive) isOver = true
      }
    }
  }
  seen.endsCleanly = isInBody ? body.endOfInput() : held.length === 0
  return seen
}

/** What would be sent on to an HTTP/1.1 peer for one body: runs and tail. A fault ends it. */
export function forwardBody(
  input: Buffer,
  kind: BodyKind,
  contentLength: number,
  options: { pieceBytes?: number; unframes?: boolean; keepsTrailers?: boolean; limits?: LimitsSpec } = {},
): { readonly out: string; readonly fault: number; readonly isDone: boolean; readonly taken: number } {
  const body = new BodyReader()
  const limits = options.limits ?? defaultLimits
  body.begin(kind, contentLength, options.unframes ?? false, options.keepsTrailers ?? options.unframes !== true, limits)
  const pieceBytes = options.pieceBytes ?? Math.max(1, input.length)
  let out = ''
  let taken = 0
  for (let from = 0; from < input.length && !body.isDone; from += pieceBytes) {
    const piece = Buffer.from(input.subarray(from, from + pieceBytes))
    let at = 0
    while (at < piece.length && !body.isDone) {
      const n = body.feed(piece, at, piece.length)
      if (n < 0) return { out, fault: n, isDone: false, taken }
      if (n === 0) throw new Error('the body reader made no progress')
      for (let i = 0; i < body.runCount; i++)
        out += piece.toString('latin1', body.runs[i * 2] as number, body.runs[i * 2 + 1] as number)
      at += n
      taken += n
    }
  }
  if (body.isDone && body.tail !== null) out += body.tail.toString('latin1')
  return { out, fault: 0, isDone: body.isDone, taken }
}
