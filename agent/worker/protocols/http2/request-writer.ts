import { headers } from '../../../../contracts/words.ts'
import { Field as FieldId, isHopByHop, isIdentity } from '../../../../http1/field-names.ts'
import { isFieldValue, isToken } from '../../../../http1/field-text.ts'
import { Head } from '../../../../http1/head.ts'
import type { HeaderEdits, RequestEdits, RequestMessage, Scheme, TraceContext } from '../../forward/streams.ts'
import type { Output } from '../../transport/output.ts'
import { blockOf, viaBlocks } from './edit-blocks.ts'
import { Http2Head } from './head.ts'
import { writeField, writeKnownField } from './hpack/encoder.ts'
import { FieldName, NameKind } from './hpack/field.ts'

/** Names of messages of other protocols that are remembered with what they are. Emptied there. */
const maxNames = 2048

const schemes = { http: blockOf([[':scheme', 'http']]), https: blockOf([[':scheme', 'https']]) }
const takesTrailers = blockOf([['te', 'trailers']])

/**
 * Writes the heads of forwarded requests: what concerns one connection only (R17) and identity fields (R36) are left
 * out, edits are made, Via and what is ours follow. Fields that came in HTTP/2 are copied as they were, cookie crumbs
 * and never-indexed ones included. One per worker.
 */
export class RequestWriter {
  private readonly names = new Map<string, FieldName>()
  private readonly edits: HeaderEdits[] = []
  private readonly via: readonly [Buffer, Buffer]
  private out!: Output
  private drops = false
  private isSayable = true
  private hasGrpcTimeout = false
  private keepsExpect = true
  private countsForwards = false
  private isConnect = false

  /** `pseudonym`: our name in Via. */
  constructor(pseudonym: string) {
    this.via = viaBlocks(pseudonym)
  }

  /** Whether the message can be said in HTTP/2. Asked before anything of it is written. */
  canSay(request: RequestMessage, edits: RequestEdits): boolean {
    const { authority, method, path, query, wire } = request
    if (!isToken(method) || !isFieldValue(edits.authority ?? authority)) return false
    if (!isFieldValue(edits.target ?? `${path}${query}`)) return false
    if (wire instanceof Http2Head || wire instanceof Head) return true
    this.isSayable = true
    request.eachField(this.check)
    return this.isSayable
  }

  private readonly check = (name: string, value: string): void => {
    this.isSayable &&= this.nameOf(name).kind === NameKind.ordinary && isFieldValue(value)
  }

  /** `protocol`: of extended CONNECT (RFC 8441); '' = an ordinary request. */
  write(out: Output, request: RequestMessage, edits: RequestEdits, protocol: string, scheme: Scheme): void {
    const { method, path, query, wire } = request
    this.out = out
    this.takeEdits(edits)
    this.hasGrpcTimeout = edits.grpcTimeout !== null
    this.keepsExpect = edits.keepsAsks
    this.countsForwards = method === 'OPTIONS'
    this.isConnect = protocol !== ''
    writeField(out, ':method', this.isConnect ? 'CONNECT' : method)
    if (this.isConnect) writeField(out, ':protocol', protocol)
    out.append(schemes[scheme])
    writeField(out, ':path', edits.target ?? (query === '' ? path : `${path}?${query}`))
    writeField(out, ':authority', edits.authority ?? request.authority)
    const isOurs = wire instanceof Http2Head
    if (isOurs) this.copyFields(wire)
    else request.eachField(this.visit)
    if (request.takesTrailers) out.append(takesTrailers)
    if (request.hasContent && request.contentLength >= 0) {
      writeField(out, 'content-length', String(request.contentLength))
    }
    for (const { fields } of this.edits) for (const [name, value] of fields) writeField(out, name, value)
    out.append(this.via[isOurs ? 1 : 0])
    if (edits.grpcTimeout !== null) writeField(out, 'grpc-timeout', edits.grpcTimeout)
    if (edits.source !== '' && isFieldValue(edits.source)) writeField(out, headers.source, edits.source)
    if (edits.trace !== null) writeField(out, 'traceparent', traceParent(edits.trace))
    if (edits.requestId !== null) writeField(out, 'x-request-id', edits.requestId.toString('latin1'))
  }

  private takeEdits({ destination, route }: RequestEdits): void {
    const { edits } = this
    edits.length = 0
    if (route !== null) edits.push(route)
    if (destination !== null) edits.push(destination)
    this.drops = edits.some(({ drop }) => drop.size > 0)
  }

  private isDropped(name: string): boolean {
    for (const { drop } of this.edits) if (drop.has(name)) return true
    return false
  }

  private copyFields(head: Http2Head): void {
    const { drops, out } = this
    for (const field of head.fields) {
      const { id } = field
      if (id !== FieldId.other && !this.mayPass(id, field.value)) continue
      if (drops && this.isDropped(field.name)) continue
      writeKnownField(out, field)
    }
  }

  private readonly visit = (name: string, value: string): void => {
    const { id } = this.nameOf(name)
    // RFC 8441 section 5: there is neither a key nor a hash of it
    if (this.isConnect && name === 'sec-websocket-key') return
    if (id !== FieldId.other && !this.mayPass(id, value)) return
    if (this.drops && this.isDropped(name)) return
    writeField(this.out, name, value)
  }

  /** Whether a field whose name means something passes as it is. */
  private mayPass(id: FieldId, value: string): boolean {
    switch (id) {
      case FieldId.host:
      case FieldId.contentLength:
        return false
      case FieldId.grpcTimeout:
        return !this.hasGrpcTimeout
      case FieldId.expect:
        return this.keepsExpect
      case FieldId.maxForwards:
        if (!this.countsForwards) return true
        writeField(this.out, 'max-forwards', String(Math.max(0, Number(value) - 1) || 0))
        return false
      default:
        return !isHopByHop(id) && !isIdentity(id)
    }
  }

  private nameOf(text: string): FieldName {
    const known = this.names.get(text)
    if (known !== undefined) return known
    if (this.names.size >= maxNames) this.names.clear()
    const name = new FieldName(text)
    this.names.set(text, name)
    return name
  }
}

function traceParent({ isSampled, spanId, traceId }: TraceContext): string {
  return `00-${traceId.toString('latin1')}-${spanId.toString('latin1')}-0${isSampled ? 1 : 0}`
}
