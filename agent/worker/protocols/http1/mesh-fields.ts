/**
 * The mesh's own field lines of a forwarded request: who calls (towards other agents), the trace, and the id of the
 * request. Built in one reusable buffer per worker; a request that needs none of them costs three comparisons.
 */
import { headers } from '../../../../contracts/words.ts'
import { isFieldValue } from '../../../../http1/field-text.ts'
import { latin1Write } from '../../../../http1/latin1.ts'
import { TraceBits } from '../../forward/streams.ts'
import type { TraceContext } from '../../forward/streams.ts'

const capacity = 1024
const traceTemplate = Buffer.from(`traceparent: 00-${'0'.repeat(32)}-${'0'.repeat(16)}-00\r\n`, 'latin1')
const traceIdAt = 'traceparent: 00-'.length
const spanIdAt = traceIdAt + 33
const flagAt = spanIdAt + 18
const requestIdName = Buffer.from('x-request-id: ', 'latin1')

export class MeshFields {
  readonly bytes: Buffer = Buffer.alloc(capacity)
  length = 0

  begin(): void {
    this.length = 0
  }

  addSource(app: string): void {
    if (isFieldValue(app)) this.addLine(`${headers.source}: ${app}\r\n`)
  }

  private addLine(line: string): void {
    if (this.length + line.length > capacity) return
    this.length += latin1Write(this.bytes, line, this.length)
  }

  addTrace(trace: TraceContext): void {
    if (trace.formats !== TraceBits.w3c) {
      for (const [name, value] of trace.fields()) this.addLine(`${name}: ${value}\r\n`)
      return
    }
    const at = this.length
    if (at + traceTemplate.length > capacity) return
    traceTemplate.copy(this.bytes, at)
    trace.traceId.copy(this.bytes, at + traceIdAt)
    trace.spanId.copy(this.bytes, at + spanIdAt)
    if (trace.isSampled) this.bytes[at + flagAt] = 0x31
    this.length += traceTemplate.length
  }

  addRequestId(id: Buffer): void {
    const { bytes, length: at } = this
    const end = at + requestIdName.length + id.length
    if (end + 2 > capacity) return
    requestIdName.copy(bytes, at)
    id.copy(bytes, at + requestIdName.length)
    bytes[end] = 0x0d
    bytes[end + 1] = 0x0a
    this.length = end + 2
  }
}
