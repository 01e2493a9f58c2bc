import { isAuthority } from '../../../../http1/authority.ts'
import { targetBytes } from '../../../../http1/byte-classes.ts'
import { Field as FieldId } from '../../../../http1/field-names.ts'
import { isToken } from '../../../../http1/field-text.ts'
import { latin1Write } from '../../../../http1/latin1.ts'
import type { RequestFault } from '../../forward/streams.ts'
import { headFaults } from './head-fault.ts'
import { Http2Head } from './head.ts'
import type { HeadFacts } from './head.ts'
import { NameKind } from './hpack/field.ts'
import type { Field } from './hpack/field.ts'
import type { FieldSink } from './hpack/decoder.ts'

export interface HeadLimits {
  readonly maxHeadBytes: number
  readonly maxFields: number
  readonly maxRequestLineBytes: number
}

export const BlockKind = { request: 0, reply: 1, trailers: 2 } as const
export type BlockKind = (typeof BlockKind)[keyof typeof BlockKind]

const wholeNumber = /^\d{1,15}$/
const schemePattern = /^[a-z][a-z0-9+\-.]*$/i
const statusPattern = /^[1-9]\d\d$/

/**
 * Makes heads of decoded fields, by the rules of RFC 9113 section 8 and R40. One per worker, used for one block after
 * another.
 */
export class HeadReader implements FieldSink {
  /** What is wrong with the block in hand; the first thing found. */
  fault: RequestFault | null = null
  private kind: BlockKind = BlockKind.request
  private fields: Field[] = []
  private bytes = 0
  private count = 0
  private limits: HeadLimits = { maxFields: 0, maxHeadBytes: 0, maxRequestLineBytes: 0 }
  /** Bit per pseudo field that came. */
  private seen = 0
  private method = ''
  private scheme = ''
  private authority = ''
  private target = ''
  private protocol = ''
  private status = 0
  private host: string | null = null
  private contentLength = -1
  private takesTrailers = false
  private maxForwards = -1
  private readonly hostBytes: Buffer = Buffer.alloc(512)

  begin(kind: BlockKind, limits: HeadLimits): void {
    this.kind = kind
    this.limits = limits
    this.fault = null
    this.fields = []
    this.bytes = 0
    this.count = 0
    this.seen = 0
    this.method = ''
    this.scheme = ''
    this.authority = ''
    this.target = ''
    this.protocol = ''
    this.status = 0
    this.host = null
    this.contentLength = -1
    this.takesTrailers = false
    this.maxForwards = -1
  }

  onField(field: Field): boolean {
    this.bytes += field.size
    if (++this.count > this.limits.maxFields) return this.refuse(headFaults.fields)
    if (this.bytes > this.limits.maxHeadBytes) return this.refuse(headFaults.bytes)
    if (this.fault !== null) return true
    if (!field.isSayable) {
      this.fault = field.kind === NameKind.malformed ? headFaults.name : headFaults.value
    } else if (field.kind === NameKind.ordinary) {
      if (field.id !== FieldId.other) this.takeKnown(field)
      this.fields.push(field)
    } else if (field.kind === NameKind.connection) {
      this.fault = headFaults.connection
    } else {
      this.takePseudo(field)
    }
    return true
  }

  /** A bound: it outweighs what else is wrong, and nothing more of the block is wanted. */
  private refuse(fault: RequestFault): boolean {
    this.fault = fault
    return false
  }

  private takePseudo({ kind, value }: Field): void {
    const bit = 1 << kind
    const isOfReply = kind === NameKind.status
    const isWrong = this.kind === BlockKind.reply ? !isOfReply : isOfReply
    if (this.kind === BlockKind.trailers) this.fault = headFaults.trailers
    else if (kind === NameKind.unknownPseudo || isWrong) this.fault = headFaults.pseudoName
    else if (this.fields.length > 0) this.fault = headFaults.pseudoOrder
    else if ((this.seen & bit) !== 0) this.fault = headFaults.pseudoTwice
    this.seen |= bit
    switch (kind) {
      case NameKind.method:
        this.method = value
        break
      case NameKind.scheme:
        this.scheme = value
        break
      case NameKind.authority:
        this.authority = value
        break
      case NameKind.path:
        this.target = value
        break
      case NameKind.protocol:
        this.protocol = value
        break
      case NameKind.status:
        if (statusPattern.test(value)) this.status = Number(value)
        else this.fault ??= headFaults.status
        break
      default:
    }
  }

  private takeKnown({ id, value }: Field): void {
    switch (id) {
      case FieldId.host:
        if (this.host !== null) this.fault = headFaults.hostTwice
        this.host = value
        break
      case FieldId.contentLength:
        if (!wholeNumber.test(value) || this.contentLength >= 0) this.fault = headFaults.contentLength
        else this.contentLength = Number(value)
        break
      case FieldId.te:
        if (value.toLowerCase() === 'trailers') this.takesTrailers = true
        else this.fault = headFaults.te
        break
      case FieldId.maxForwards:
        if (wholeNumber.test(value)) this.maxForwards = Number(value)
        break
      default:
    }
  }

  /** The head, or null with `fault`. */
  finish(): Http2Head | null {
    if (this.fault !== null) return this.none()
    if (this.kind === BlockKind.request) this.fault = this.faultOfRequest()
    else if (this.kind === BlockKind.reply) this.fault = this.faultOfReply()
    if (this.fault !== null) return this.none()
    const { target } = this
    const mark = target.indexOf('?')
    const facts: HeadFacts = {
      method: this.method,
      scheme: this.scheme,
      authority: this.authority,
      path: mark < 0 ? target : target.slice(0, mark),
      query: mark < 0 ? '' : target.slice(mark + 1),
      protocol: this.protocol,
      status: this.status,
      contentLength: this.contentLength,
      takesTrailers: this.takesTrailers,
      maxForwards: this.maxForwards,
    }
    return new Http2Head(this.fields, facts)
  }

  private none(): null {
    this.fields = []
    return null
  }

  private faultOfReply(): RequestFault | null {
    if (this.status === 0) return headFaults.pseudoMissing
    return this.status === 101 ? headFaults.switching : null
  }

  private faultOfRequest(): RequestFault | null {
    const { method, protocol, scheme, target } = this
    if (method === '') return headFaults.pseudoMissing
    if (!isToken(method)) return headFaults.method
    if (method === 'CONNECT' && protocol !== 'websocket') return headFaults.connect
    if (method === 'TRACE') return headFaults.trace
    if (protocol !== '' && method !== 'CONNECT') return headFaults.pseudoName
    if (scheme === '' || target === '') return headFaults.pseudoMissing
    if (!schemePattern.test(scheme)) return headFaults.scheme
    if (target.length > this.limits.maxRequestLineBytes) return headFaults.target
    if (!isTarget(target, method)) return headFaults.path
    return this.faultOfHost()
  }

  /** R40: one name, whichever field says it. */
  private faultOfHost(): RequestFault | null {
    const { host } = this
    if (host !== null && this.authority !== '' && host.toLowerCase() !== this.authority.toLowerCase()) {
      return headFaults.hostDiffers
    }
    const authority = (this.authority === '' ? (host ?? '') : this.authority).toLowerCase()
    if (authority === '') return headFaults.host
    if (authority.length > this.hostBytes.length) return headFaults.host
    const length = latin1Write(this.hostBytes, authority, 0)
    if (!isAuthority(this.hostBytes, 0, length)) return headFaults.host
    this.authority = authority
    return null
  }
}

/** Origin form, or `*` of OPTIONS (R4). */
function isTarget(target: string, method: string): boolean {
  if (target === '*') return method === 'OPTIONS'
  if (target.charCodeAt(0) !== 0x2f) return false
  for (let i = 1; i < target.length; i++) if (targetBytes[target.charCodeAt(i)] !== 1) return false
  return true
}
