/**
 * The HTTP/1.1 codec's words: what its parts give to each other and to those who carry traffic with it: the workers,
 * and the watchdog's relay.
 *
 * The codec owns no socket and reads no clock. A connection side keeps one `Head` and one `BodyReader` for its whole
 * life; nothing is allocated per message. Bad input is never an exception: functions that read bytes answer a negative
 * number, an index into `httpFault`.
 */
import type { LimitsSpec } from '../contracts/snapshot.ts'

/** Bounds of the codec, by their names in the snapshot. A whole `LimitsSpec` fits. */
export type HeadLimits = Pick<LimitsSpec, 'maxRequestLineBytes' | 'maxHeadBytes' | 'maxFields'>
export type BodyLimits = Pick<LimitsSpec, 'maxChunkLineBytes' | 'maxChunkExtensionBytes' | 'maxHeadBytes' | 'maxFields'>

/** Methods that change what a proxy does. Any other token is `other`; its text is in `head.method`. */
export const Method = {
  other: 0,
  get: 1,
  head: 2,
  post: 3,
  put: 4,
  delete: 5,
  options: 6,
  patch: 7,
  trace: 8,
  connect: 9,
} as const
export type Method = (typeof Method)[keyof typeof Method]

/** How the end of a message's body is known. */
export const BodyKind = {
  /** No body: the next byte belongs to the next message. */
  none: 0,
  /** Exactly `contentLength` bytes (0 is reported as `none`). */
  length: 1,
  chunked: 2,
  /** A reply that ends with the connection. Never a request (R27). */
  untilClose: 3,
  /** After 101: bytes without an end, in both directions. */
  tunnel: 4,
} as const
export type BodyKind = (typeof BodyKind)[keyof typeof BodyKind]

/** The four forms of a request target (RFC 9112 section 3.2). */
export const TargetForm = { origin: 0, absolute: 1, authority: 2, asterisk: 3 } as const
export type TargetForm = (typeof TargetForm)[keyof typeof TargetForm]

/** Fields of a head in their order. Names and values were validated where they came in. */
export type Fields = readonly (readonly [name: string, value: string])[]

/**
 * What a rule or a filter changes in a head. Never changed once made: its bytes are kept as long as the object lives.
 */
export interface HeadEdits {
  /** Added behind what is there. */
  readonly fields: Fields
  /** Fields to leave out of the forwarded head, lower case. */
  readonly drop: ReadonlySet<string>
}

/**
 * What a forwarded request head shall look like. One reusable object per connection: set all fields, then call
 * `HeadWriter.request`.
 */
export interface RequestPlan {
  /**
   * Edits of the route and of the destination; their `drop` is left out, their `fields` are appended in this order.
   * Fields that frame or address a message are never dropped by them, and must not be added by them: control refuses
   * such rules.
   */
  routeEdits: HeadEdits | null
  destinationEdits: HeadEdits | null
  /**
   * Whole, validated field lines of the mesh itself (source, trace, request id), appended last; `extra[0 ..
   * extraLength)`.
   */
  extra: Buffer | null
  extraLength: number
  /** Origin-form target to write instead of the sent one; null = as sent (absolute-form becomes origin-form). */
  target: Buffer | null
  /**
   * Host to write instead of the sent one; null = as sent, or from the absolute-form target (R4). With neither, `Host:`
   * is written empty.
   */
  authority: Buffer | null
  /** Writes `Connection: Upgrade` and `Upgrade: websocket`. Only when `head.upgradesToWebSocket`. */
  upgrades: boolean
  /** Leaves `Expect` out (the mesh answered 100 itself). Otherwise `100-continue` is forwarded. */
  dropsExpect: boolean
}

/** How the body of a forwarded reply is framed downstream. */
export const ReplyFraming = {
  /** As received: content length and chunked pass; also for replies without a body. */
  same: 0,
  /** Close-delimited, or of a length that does not hold any more: re-framed as chunked for an HTTP/1.1 caller (R27). */
  chunked: 1,
  /** The same or chunked, unframed for an HTTP/1.0 caller; the connection closes (R30). */
  untilClose: 2,
} as const
export type ReplyFraming = (typeof ReplyFraming)[keyof typeof ReplyFraming]

/** What a forwarded reply head shall look like. One reusable object per connection. */
export interface ReplyPlan {
  routeEdits: HeadEdits | null
  destinationEdits: HeadEdits | null
  /** Adds a cookie of ours. */
  cookieEdits: HeadEdits | null
  /** Of response filters, on top of the others. */
  filterEdits: readonly HeadEdits[] | null
  extra: Buffer | null
  extraLength: number
  framing: ReplyFraming
  /** Writes `Connection: close`. */
  closes: boolean
  /** Writes `Connection: keep-alive`: for an HTTP/1.0 caller that asked for it. */
  saysKeepAlive: boolean
  /** 101 to a caller that asked for it: writes `Connection: Upgrade` and `Upgrade: websocket`. */
  upgrades: boolean
  /** Leaves out an `x-mesh-tier` that came from upstream, because ours is in `extra`. */
  dropsTier: boolean
  /** Leaves out an `x-mesh-error`: it came from an application, and only the mesh may say what it says. */
  dropsError: boolean
  /** Leaves `Trailer` out: the trailers that it announces do not pass (R16). */
  dropsTrailer: boolean
}
