import type { ErrorCode } from '../contracts/errors.ts'
import { headers, nothingDelivered } from '../contracts/words.ts'
import type { Tier } from '../contracts/words.ts'
import { fieldLines } from './edit-bytes.ts'
import { latin1Write } from './latin1.ts'
import { reasonPhrase } from './reason-phrase.ts'
import type { Fields, HeadEdits } from './types.ts'

/** An answer that the mesh makes. */
export interface LocalAnswer {
  /** 200..599. */
  readonly status: number
  /** Goes into `x-mesh-error`; undefined for an answer that a rule asked for. */
  readonly code: ErrorCode | undefined
  readonly fields: Fields
  /** Not sent to HEAD, but its length is announced; never sent with 204 and 304. */
  readonly body: Buffer
}

/**
 * Most formatted heads that are kept; beyond it, heads are formatted each time. Heads with fields of their own never
 * are kept.
 */
const maxKept = 256

/**
 * Formats the mesh's own answers: status line, `x-mesh-error`, `x-mesh-tier`, Content-Length, Connection, the answer's
 * fields, body. One per worker and tier.
 */
export class LocalReplies {
  private readonly tier: Tier
  private readonly kept = new Map<string, string>()
  /** Answers share most of their fields; the lines live here as long as the fields do. */
  private readonly lines = new WeakMap<Fields, string>()

  constructor(tier: Tier) {
    this.tier = tier
  }

  /**
   * The whole answer in a fresh buffer. edits: add their fields behind its own. isHead: the request was a HEAD. closes:
   * the connection closes behind it. minor: of the request; an HTTP/1.0 caller that stays connected is told so.
   */
  format(
    answer: LocalAnswer,
    edits: readonly HeadEdits[] | null,
    isHead: boolean,
    closes: boolean,
    minor: number,
  ): Buffer {
    const hasBody = answer.status !== 204 && answer.status !== 304
    const length = hasBody ? answer.body.length : -1
    let lines = answer.fields.length === 0 ? '' : this.linesOf(answer.fields)
    if (edits !== null) for (const { fields } of edits) lines += this.linesOf(fields)
    let head: string
    if (lines === '') {
      const key = `${answer.status} ${answer.code} ${closes} ${minor} ${length}`
      head = this.kept.get(key) ?? this.head(answer, lines, length, closes, minor)
      if (this.kept.size < maxKept) this.kept.set(key, head)
    } else {
      head = this.head(answer, lines, length, closes, minor)
    }
    const sends = hasBody && !isHead
    const out = Buffer.allocUnsafe(head.length + (sends ? answer.body.length : 0))
    latin1Write(out, head, 0)
    if (sends) answer.body.copy(out, head.length)
    return out
  }

  private linesOf(fields: Fields): string {
    const known = this.lines.get(fields)
    if (known !== undefined) return known
    const lines = fieldLines(fields)
    this.lines.set(fields, lines)
    return lines
  }

  private head(answer: LocalAnswer, lines: string, length: number, closes: boolean, minor: number): string {
    let head = `HTTP/1.1 ${answer.status} ${reasonPhrase(answer.status)}\r\n`
    if (answer.code !== undefined) head += `${headers.error}: ${answer.code}\r\n`
    head += `${headers.tier}: ${answer.code === 'E_CENTER_NOT_READY' ? nothingDelivered : this.tier}\r\n`
    if (length >= 0) head += `Content-Length: ${length}\r\n`
    if (closes) head += 'Connection: close\r\n'
    else if (minor === 0) head += 'Connection: keep-alive\r\n'
    return `${head}${lines}\r\n`
  }
}
