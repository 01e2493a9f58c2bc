/**
 * OTLP messages, read by OpenTelemetry's own definitions (opentelemetry-proto 1.45.2, as descriptors out of its Python
 * package).
 */
import { readFileSync } from 'node:fs'
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader'
import type { ServiceDefinition } from '@grpc/proto-loader'
import { signals } from '../../../contracts/telemetry.ts'
import type { Signal } from '../../../contracts/telemetry.ts'

interface Value {
  readonly string_value?: string
  readonly int_value?: string
  readonly double_value?: number
}
interface KeyValue {
  readonly key: string
  readonly value: Value
}
interface RawRecord {
  readonly trace_id?: Uint8Array
  readonly span_id?: Uint8Array
  readonly parent_span_id?: Uint8Array
  readonly name?: string
  readonly kind?: number
  readonly start_time_unix_nano?: string
  readonly end_time_unix_nano?: string
  readonly time_unix_nano?: string
  readonly severity_number?: number
  readonly body?: Value
  readonly status?: { readonly code?: number }
  readonly attributes?: readonly KeyValue[]
}
interface Scoped {
  readonly scope?: { readonly name?: string }
  readonly spans?: readonly RawRecord[]
  readonly log_records?: readonly RawRecord[]
}
interface Resourced {
  readonly resource?: { readonly attributes?: readonly KeyValue[] }
  readonly scope_spans?: readonly Scoped[]
  readonly scope_logs?: readonly Scoped[]
}
interface ExportRequest {
  readonly resource_spans?: readonly Resourced[]
  readonly resource_logs?: readonly Resourced[]
}

const definitions = loadFileDescriptorSetFromBuffer(
  readFileSync(new URL('opentelemetry-proto-1.45.2.binpb', import.meta.url)),
  { longs: String, enums: Number, bytes: Buffer },
)
const collector = 'opentelemetry.proto.collector'
/** What a collector serves, with the official paths and codecs. */
export const exportService: Readonly<Record<Signal, ServiceDefinition>> = {
  traces: definitions[`${collector}.trace.v1.TraceService`] as ServiceDefinition,
  logs: definitions[`${collector}.logs.v1.LogsService`] as ServiceDefinition,
}

export interface ReadRecord {
  readonly resource: Readonly<Record<string, unknown>>
  readonly scope: string
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string
  readonly name: string
  readonly kind: number
  /** Epoch ms. */
  readonly startMs: number
  readonly endMs: number
  readonly severity: number
  readonly body: unknown
  readonly isError: boolean
  readonly attributes: Readonly<Record<string, unknown>>
}

/** Of an export request. Throws for bytes that are none. */
export function readExport(signal: Signal, bytes: Uint8Array): ReadRecord[] {
  const message = exportService[signal]['Export']!.requestDeserialize(Buffer.from(bytes)) as ExportRequest
  return recordsOf(message)
}

export function recordsOf(message: ExportRequest): ReadRecord[] {
  return [...(message.resource_spans ?? []), ...(message.resource_logs ?? [])].flatMap((resourced) =>
    [...(resourced.scope_spans ?? []), ...(resourced.scope_logs ?? [])].flatMap((scoped) =>
      [...(scoped.spans ?? []), ...(scoped.log_records ?? [])].map((record) => read(record, resourced, scoped)),
    ),
  )
}

function read(record: RawRecord, resourced: Resourced, scoped: Scoped): ReadRecord {
  const start = record.start_time_unix_nano ?? record.time_unix_nano
  return {
    resource: valuesOf(resourced.resource?.attributes),
    scope: scoped.scope?.name ?? '',
    traceId: hex(record.trace_id),
    spanId: hex(record.span_id),
    parentId: hex(record.parent_span_id),
    name: record.name ?? '',
    kind: record.kind ?? 0,
    startMs: Number(start ?? 0) / 1e6,
    endMs: Number(record.end_time_unix_nano ?? 0) / 1e6,
    severity: record.severity_number ?? 0,
    body: valueOf(record.body ?? {}),
    isError: record.status?.code === 2,
    attributes: valuesOf(record.attributes),
  }
}

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex')

function valuesOf(list: readonly KeyValue[] | undefined): Record<string, unknown> {
  return Object.fromEntries((list ?? []).map(({ key, value }) => [key, valueOf(value)]))
}

function valueOf(value: Value): unknown {
  return (
    value.string_value ?? value.double_value ?? (value.int_value === undefined ? undefined : Number(value.int_value))
  )
}

/** Of a worker's frame. */
export const signalOf = (frame: Buffer): Signal => signals[frame[4]!]!
