import type { ErrorCode } from '../../../contracts/errors.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { Outcome } from '../balance/types.ts'
import type { Answer } from '../filters/answer.ts'
import type { ReplyMessage } from './streams.ts'
import type { ExchangeState } from './exchange-state.ts'
import { LoggedFields } from './logged-fields.ts'

/** What the caller got, from an endpoint or from us: the facts that metrics and the access log tell of it. */
export class OutgoingReply {
  /** 0 = no response head yet (and for good, when the caller went away). */
  status = 0
  code: ErrorCode | undefined = undefined
  /** Envoy's response flag. */
  flag = '-'
  /** Why it was answered, in Envoy's words; '' = the code says it. */
  details = ''
  /** What policies say of the request beside what became of it. */
  notes = ''
  /** Content, without head and framing. */
  bytes = 0
  /** Ms from the request head to the response head; -1 = there was none. */
  headMs = -1
  /** It was cut short (R26). */
  isTruncated = false
  /** Those that the access log wants. */
  readonly fields = new LoggedFields()

  /** The reply of an endpoint. `speaks`: the private RPC in which it is a whole frame. */
  begin({ contentLength, status }: ReplyMessage, speaks: RpcProtocol | null): void {
    this.status = status
    if (speaks !== null) this.bytes = contentLength
  }

  /** 101, `headMs` behind the request. */
  switched(headMs: number): void {
    this.status = 101
    this.headMs = headMs
  }

  answer(answer: Answer): void {
    this.status = answer.status
    this.code = answer.code
    this.details = answer.details ?? ''
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

  get state(): ExchangeState['reply'] {
    const { bytes, fields, flag, headMs, status } = this
    return { status, flag, bytes, headMs, logged: fields.state }
  }

  restore({ bytes, flag, headMs, logged, status }: ExchangeState['reply']): void {
    this.status = status
    this.flag = flag
    this.bytes = bytes
    this.headMs = headMs
    this.fields.restore(logged)
  }

  reset(): void {
    this.status = 0
    this.code = undefined
    this.flag = '-'
    this.details = ''
    this.notes = ''
    this.bytes = 0
    this.headMs = -1
    this.isTruncated = false
    this.fields.reset()
  }
}
