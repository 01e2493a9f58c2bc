import type { RpcProtocol } from '../../../../contracts/protocols.ts'
import type { SourceAppSpec } from '../../../../contracts/snapshot.ts'
import { wireText } from '../../../../contracts/wire-text.ts'
import { headers } from '../../../../contracts/words.ts'
import type { RpcCodec } from '../../../../rpc/codec.ts'
import { FrameKind } from '../../../../rpc/frame.ts'
import type { RpcFrame } from '../../../../rpc/frame.ts'
import type { HeldBudget } from '../../../../rpc/held-budget.ts'
import { freeBytes } from '../../../../rpc/frame-splitter.ts'
import type { CallerAccount } from '../../callers/caller-account.ts'
import type { FieldVisitor, RequestMessage } from '../../forward/streams.ts'
import type { Caller } from '../caller.ts'
import { RpcHead } from './rpc-head.ts'
import type { RpcNames } from './rpc-names.ts'

/** And whose connection it is. */
export interface RpcCaller extends Caller {
  /** The service of a listener whose protocol says none; '' elsewhere. */
  readonly service: string
  /** Whose share of a worker's bounds it uses. */
  readonly account: CallerAccount
}

const noBytes = Buffer.alloc(0)
/** Attributes with which a caller would be taken for one of HTTP. */
const foreign: ReadonlySet<string> = new Set(['content-type', 'via'])

/**
 * A request in private RPC: a POST to `/service/method` whose attributes are its fields, as their UTF-8 bytes. Holds a
 * copy of the frame, for a retry needs it after the read buffer was reused. Reused for one request after another.
 */
export class RpcRequest implements RequestMessage {
  readonly method = 'POST'
  readonly query = ''
  readonly scheme = 'http'
  readonly namedPort = 0
  readonly isIdempotent = false
  readonly hasContent = false
  readonly asksUpgrade = false
  readonly takesTrailers = false
  readonly endsHere = false
  isNamedByHost = false
  caller!: RpcCaller
  readonly wire: RpcHead
  private readonly names: RpcNames
  private readonly budget: HeldBudget
  private charged = 0
  private holder = ''
  private service: string | null = null

  constructor(codec: RpcCodec, names: RpcNames, budget: HeldBudget) {
    this.wire = new RpcHead(codec, noBytes)
    this.names = names
    this.budget = budget
  }

  /** Copies the frame `buf[at..end)`. False where there is no memory for it; only its head may be read then. */
  take(codec: RpcCodec, buf: Buffer, at: number, end: number, frame: RpcFrame): boolean {
    const { wire } = this
    const length = end - at
    wire.codec = codec
    wire.frame.copyFrom(frame)
    wire.from = 0
    wire.to = length
    if (wire.bytes.length < length) {
      const size = length > freeBytes ? length : length > 1024 ? freeBytes : 1024
      const charge = size > freeBytes ? size : 0
      if (charge > 0) this.holder = this.caller.account.name
      if (!this.budget.take(charge, this.holder)) {
        wire.to = 0
        return false
      }
      this.charged = charge
      wire.bytes = Buffer.allocUnsafeSlow(size)
    }
    buf.copy(wire.bytes, 0, at, end)
    return true
  }

  get isOneWay(): boolean {
    return this.wire.frame.kind === FrameKind.oneWay
  }
  get contentLength(): number {
    return this.wire.to
  }
  get speaks(): RpcProtocol {
    return this.wire.codec.name as RpcProtocol
  }
  get protocol(): string {
    return this.wire.codec.name
  }
  get callerTimeoutMs(): number {
    return this.wire.frame.timeoutMs
  }
  /** The called service, as the protocol names it. */
  get authority(): string {
    if (this.service !== null) return this.service
    const { bytes, frame } = this.wire
    const said = this.names.text(bytes, frame.serviceFrom, frame.serviceTo)
    return (this.service = said === '' ? this.caller.service : said)
  }
  get path(): string {
    const { bytes, frame } = this.wire
    return this.names.path(this.authority, this.names.text(bytes, frame.methodFrom, frame.methodTo))
  }
  get localPort(): number {
    return this.caller.localPort
  }
  get sourceAddress(): string {
    return this.caller.sourceAddress
  }
  get source(): SourceAppSpec | undefined {
    return this.caller.source
  }

  header(name: string): string | undefined {
    if (foreign.has(name)) return undefined
    const { bytes, codec, frame } = this.wire
    const found = codec.attribute(bytes, 0, frame, name)
    if (found !== undefined) return wireText(found)
    return name === headers.service ? this.authority : undefined
  }

  headerValues(name: string): string | undefined {
    return this.header(name)
  }

  countVia(): number {
    return 0
  }

  eachField(visit: FieldVisitor): void {
    const { bytes, codec, frame } = this.wire
    codec.eachAttribute(bytes, 0, frame, (name, value) => visit(name, wireText(value)))
  }

  copy(): RpcRequest {
    const { bytes, codec, frame, to } = this.wire
    const copied = new RpcRequest(codec, this.names, this.budget)
    const { account, localPort, service, source, sourceAddress } = this.caller
    copied.caller = { account, localPort, service, source, sourceAddress }
    copied.wire.bytes = Buffer.from(bytes.subarray(0, to))
    copied.wire.to = to
    copied.wire.frame.copyFrom(frame)
    return copied
  }

  reset(): void {
    this.service = null
    this.isNamedByHost = false
    if (this.charged === 0) return
    this.budget.give(this.charged, this.holder)
    this.charged = 0
    this.wire.bytes = noBytes
  }
}
