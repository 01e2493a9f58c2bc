/**
 * The contract of a codec of private RPC: from bytes to what a mesh has to know of a frame, and back with another
 * request id. A codec reads heads; it neither copies nor decodes what an application sent, and needs none of its
 * classes. It holds no state of a connection and owns no socket, so that one serves all connections. Every codec
 * passes `test/compliance/rpc-codec.ts`.
 */
import type { RpcFrame } from './frame.ts'

export type AttributeVisitor = (name: string, value: string) => void

/** Why a request is answered by the mesh. */
export interface RpcError {
  /** In the words of HTTP: 404 no route, 429, 503 no endpoint or overload, 504 time-out. */
  readonly status: number
  /** `E_BALANCE_NO_ENDPOINT`. */
  readonly code: string
  /** One line for people. */
  readonly reason: string
}

/** What a rule or the mesh changes among the attributes of a frame. */
export interface AttributeEdits {
  /** Left out of what came, by their names in lower case. */
  readonly drop: ReadonlySet<string>
  readonly add: readonly (readonly [string, string])[]
}

export interface RpcCodec {
  readonly name: string
  /** Bits of an id that we may choose: 8 to 32. */
  readonly idBits: number
  /**
   * Length of the frame that begins at `buf[at]`, of which `buf[at..end)` has come; 0 = more is needed to know it;
   * below 0: a `FrameFault`, told as soon as the bytes show it. `maxBytes`: the longest frame that is taken.
   */
  measure(buf: Buffer, at: number, end: number, maxBytes: number): number
  /** Reads the whole frame `buf[at..end)` into `frame`. 0, or a `FrameFault`. */
  read(buf: Buffer, at: number, end: number, frame: RpcFrame): number
  /**
   * The whole frame `buf[at..end)`, which `frame` describes, as a new one under another id; null = the id has a place
   * that fits, and `writeId` puts it there.
   */
  rebuilt(buf: Buffer, at: number, end: number, frame: RpcFrame, high: number, low: number): Buffer | null
  /**
   * Puts another id into the whole frame, where `rebuilt` says that it has a place; everything else stays right.
   */
  writeId(buf: Buffer, at: number, end: number, frame: RpcFrame, high: number, low: number): void
  /** First value of an attribute; `name` in lower case. */
  attribute(buf: Buffer, at: number, frame: RpcFrame, name: string): string | undefined
  eachAttribute(buf: Buffer, at: number, frame: RpcFrame, visit: AttributeVisitor): void
  /** The frame with changed attributes; null where the protocol has no place for them. */
  edited(buf: Buffer, at: number, end: number, frame: RpcFrame, edits: AttributeEdits): Buffer | null
  /** The protocol's own error reply to the request `buf[at..end)`, under the request's id. */
  errorReply(buf: Buffer, at: number, end: number, frame: RpcFrame, error: RpcError): Buffer
  /** What answers the heartbeat `buf[at..end)`. */
  heartbeatReply(buf: Buffer, at: number, end: number, frame: RpcFrame): Buffer
  /** A heartbeat of ours; null where the protocol has none. */
  heartbeat(id: number): Buffer | null
  /** Says that no more requests are taken; null where the protocol has no word for it. */
  goAway(): Buffer | null
  /**
   * Whether a connection begins in this protocol, by its first bytes: 1 = it does, 0 = more are needed, -1 = it does
   * not.
   */
  detect(buf: Buffer, length: number): number
}
