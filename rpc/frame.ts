/** What a codec of private RPC tells of one frame, and what can be wrong with it. */

export const FrameKind = {
  request: 0,
  /** A request without a reply. */
  oneWay: 1,
  reply: 2,
  /** Wants to be answered; carries nothing. */
  heartbeat: 3,
  heartbeatReply: 4,
  /** The sender takes no more requests on this connection, and answers those that it has. */
  goAway: 5,
  /** Something between the two ends alone, which nobody answers. */
  notice: 6,
} as const
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind]

/**
 * One frame, as its head says it. Reused for one frame after another; all places are offsets from the frame's first
 * byte.
 */
export class RpcFrame {
  kind: FrameKind = FrameKind.notice
  /** Of the whole frame, in bytes. */
  length = 0
  /** The id that ties a reply to its request, as two unsigned words; `idHigh` is 0 where ids have at most 32 bits. */
  idHigh = 0
  idLow = 0
  /** That the caller set for its call, ms; -1 = none is said. */
  timeoutMs = -1
  /** Of a reply, in the words of HTTP: 200, or 4xx and 5xx by what the protocol's own status means. */
  status = 200
  /** Of a reply, as the protocol numbers it. */
  code = 0
  /** The called service and method; an empty range = not said. */
  serviceFrom = 0
  serviceTo = 0
  methodFrom = 0
  methodTo = 0
  /** Where the attributes stand; an empty range = there are none. */
  tableFrom = 0
  tableTo = 0
  /** Which of its forms a codec with several found. */
  form = 0

  reset(): void {
    this.timeoutMs = -1
    this.status = 200
    this.code = 0
    this.idHigh = 0
    this.idLow = 0
    this.serviceFrom = 0
    this.serviceTo = 0
    this.methodFrom = 0
    this.methodTo = 0
    this.tableFrom = 0
    this.tableTo = 0
    this.form = 0
  }

  copyFrom(other: RpcFrame): void {
    this.kind = other.kind
    this.length = other.length
    this.idHigh = other.idHigh
    this.idLow = other.idLow
    this.timeoutMs = other.timeoutMs
    this.status = other.status
    this.code = other.code
    this.serviceFrom = other.serviceFrom
    this.serviceTo = other.serviceTo
    this.methodFrom = other.methodFrom
    this.methodTo = other.methodTo
    this.tableFrom = other.tableFrom
    this.tableTo = other.tableTo
    this.form = other.form
  }
}

/** Answers of `measure` and `read` below 0: the rule that a frame breaks. Its connection cannot be understood on. */
export const FrameFault = {
  magic: -1,
  version: -2,
  type: -3,
  length: -4,
  tooLong: -5,
  table: -6,
  string: -7,
  name: -8,
  depth: -9,
} as const
export type FrameFault = (typeof FrameFault)[keyof typeof FrameFault]

const faultTexts: Readonly<Record<number, string>> = {
  [FrameFault.magic]: 'magic: the frame begins with other bytes than its protocol does',
  [FrameFault.version]: 'version: not one that is known',
  [FrameFault.type]: 'type: neither request, reply, heartbeat nor goaway',
  [FrameFault.length]: 'length: negative, or shorter than what it holds',
  [FrameFault.tooLong]: 'length: over the limit',
  [FrameFault.table]: 'attributes: a table that does not end where it says',
  [FrameFault.string]: 'attributes: too many, or one that is too long',
  [FrameFault.name]: 'name: service or method is empty of meaning, too long, or has control characters',
  [FrameFault.depth]: 'attributes: nested too deeply',
}

/** Short words for the rule, `magic` or `length`, and what it asks. */
export function faultText(fault: number): string {
  return faultTexts[fault] ?? 'a frame that cannot be read'
}

/** Bounds of what codecs read beside the frame's length. */
export const frameBounds = {
  /** A service or a method, bytes. */
  nameBytes: 512,
  /** Attributes of one frame. */
  attributes: 256,
  /** All attributes of one frame, bytes. */
  tableBytes: 61_440,
  /** Values within values. */
  depth: 32,
} as const
