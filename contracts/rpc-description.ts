/** A private RPC as an organisation describes its frames: what `rpc.protocols` of `agent.yaml` says, as plain data. */

/** A whole number without sign in the head. */
export interface NumberPlace {
  /** Offset from the frame's first byte. */
  readonly at: number
  /** 1 to 4. */
  readonly bytes: number
}

export interface RpcDescription {
  /** First bytes of every frame, as hexadecimal digits: 1 to 8 bytes. */
  readonly magic: string
  /** Of all numbers. */
  readonly byteOrder: 'big' | 'little'
  /** Bytes of the head, which is the same for all kinds of frames. */
  readonly headBytes: number
  /** What `length` counts: the whole frame, what follows the head, or what follows the length itself. */
  readonly length: NumberPlace & { readonly counts: 'frame' | 'behind-head' | 'behind-length' }
  /** 1 to 8 bytes. */
  readonly id: NumberPlace
  readonly version?: (NumberPlace & { readonly values: readonly number[] }) | undefined
  /** The bits of `mask` say what a frame is. */
  readonly type: NumberPlace & {
    readonly mask: number
    readonly request: number
    readonly reply: number
    readonly oneWay?: number | undefined
    readonly heartbeat?: number | undefined
    readonly heartbeatReply?: number | undefined
    readonly goAway?: number | undefined
  }
  /** Of a reply. `ok`: the call succeeded; `http`: what others mean in HTTP, 500 where nothing is said. */
  readonly status: NumberPlace & {
    readonly ok: readonly number[]
    readonly http: Readonly<Record<string, number>>
    /** What a reply of the mesh says; `error` where `http` has no such status. */
    readonly error: number
  }
  /** Milliseconds that the caller gives its call, 0 = none; in the head. */
  readonly timeout?: NumberPlace | undefined
  /** The table behind the head: pairs of name and value, each behind its length. */
  readonly attributes: {
    /** Where the length of the table stands, in bytes. */
    readonly length: NumberPlace
    readonly nameLengthBytes: number
    readonly valueLengthBytes: number
    /** Names of the attributes with a meaning. */
    readonly service: string
    readonly method: string
    /** Milliseconds as decimal digits. */
    readonly timeout?: string | undefined
    /** `address:port` that is called where the mesh knows no instance: what `x-mesh-fallback` says elsewhere. */
    readonly fallback?: string | undefined
    /** Where a reply of the mesh puts code and reason. */
    readonly errorCode: string
    readonly errorReason: string
  }
}

export type DescribedProtocol = RpcDescription & {
  /** What `protocol` calls it. */
  readonly name: string
}
