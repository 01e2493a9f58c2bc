import type { ErrorCode } from '../../../contracts/errors.ts'
import { Outcome } from '../balance/types.ts'
import type { Answer } from '../filters/answer.ts'

/** What the caller got, from an endpoint or from us: the facts that metrics and the access log tell of it. */
export class OutgoingReply {
  /** 0 = no response head yet (and for good, when the caller went away). */
  status = 0
  code: ErrorCode | undefined = undefined
  /** Envoy's response flag. */
  flag = '-'
  /** Content, without head and framing. */
  bytes = 0
  /** Ms from the request head to the response head; -1 = there was none. */
  headMs = -1
  /** It was cut short (R26). */
  isTruncated = false

  answer(answer: Answer): void {
    this.status = answer.status
    this.code = answer.code
    if (answer.flag !== '-') this.flag = answer.flag
    this.bytes += answer.body.length
  }

  /** The endpoint did not bring it to its end. */
  breakOff(outcome: Outcome): void {
    this.isTruncated = true
    this.code = outcome === Outcome.timeout ? 'E_UPSTREAM_TIMEOUT' : 'E_UPSTREAM_TRUNCATED'
    this.flag = outcome === Outcome.timeout ? 'UT' : outcome === Outcome.protocol ? 'UPE' : 'UC'
  }

  /** The caller did not wait for it. */
  cancel(): void {
    this.isTruncated = true
    this.code = 'E_DOWNSTREAM_RESET'
    this.flag = 'DC'
  }

  reset(): void {
    this.status = 0
    this.code = undefined
    this.flag = '-'
    this.bytes = 0
    this.headMs = -1
    this.isTruncated = false
  }
}
