/**
 * The mesh's own field lines of a forwarded request: who calls (towards other agents), and the trace. Built in one reusable buffer per worker; a request that
 * needs none of them costs two comparisons.
 */
import type { MeshSpec } from '../../../contracts/snapshot.ts'
import { headers } from '../../../contracts/words.ts'
import { isFieldValue } from '../../../http1/field-text.ts'
import { Field } from '../../../http1/field-names.ts'
import type { Head } from '../../../http1/head.ts'
import { latin1Write } from '../../../http1/latin1.ts'
import type { CreatedTrace } from './created-trace.ts'

const capacity = 1024
const hexDigits = Buffer.from('0123456789abcdef', 'latin1')
const traceTemplate = Buffer.from(`traceparent: 00-${'0'.repeat(32)}-${'0'.repeat(16)}-00\r\n`, 'latin1')
const traceIdAt = 'traceparent: 00-'.length
const spanIdAt = traceIdAt + 33
const flagAt = spanIdAt + 18

export class RequestFields {
  readonly bytes: Buffer = Buffer.alloc(capacity)
  length = 0
  private readonly random: () => number

  constructor(random: () => number) {
    this.random = random
  }

  begin(): void {
    this.length = 0
  }

  /** Who calls, for the agent at the other end. */
  addSource(app: string): void {
    const line = `${headers.source}: ${app}\r\n`
    if (!isFieldValue(app) || this.length + line.length > capacity) return
    this.length += latin1Write(this.bytes, line, this.length)
  }

  /** A W3C trace context for a request that carries neither that nor B3: a span of its own in the one trace of the request, which the first attempt begins. */
  addTrace(head: Head, trace: CreatedTrace, tracing: MeshSpec['tracing']): void {
    if (!tracing.createMissing) return
    if (head.find(Field.traceparent) >= 0 || head.find(Field.b3) >= 0 || head.find(Field.xB3TraceId) >= 0) return
    const at = this.length
    traceTemplate.copy(this.bytes, at)
    if (!trace.isThere) {
      this.writeHex(trace.id, 0)
      this.writeHex(trace.id, 16)
      trace.isSampled = this.random() < tracing.sampledShare
      trace.isThere = true
    }
    trace.id.copy(this.bytes, at + traceIdAt)
    this.writeHex(this.bytes, at + spanIdAt)
    if (trace.isSampled) this.bytes[at + flagAt] = 0x31
    this.length += traceTemplate.length
  }

  /** 16 random digits. */
  private writeHex(into: Buffer, at: number): void {
    for (let i = 0; i < 16; i += 8) {
      let word = (this.random() * 0x1_0000_0000) >>> 0
      for (let digit = 0; digit < 8; digit++) {
        into[at + i + digit] = hexDigits[word & 15]!
        word >>>= 4
      }
    }
  }
}
