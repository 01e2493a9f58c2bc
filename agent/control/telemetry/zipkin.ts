/** Spans of workers in the form of Zipkin's API v2 (zipkin.io/zipkin-api, `ListOfSpans`). */
import { protoFields } from '../../../contracts/proto-fields.ts'
import type { HostFacts, RecordGroup } from './envelope.ts'

export interface ZipkinSpan {
  traceId: string
  id: string
  parentId?: string
  name: string
  kind?: 'CLIENT' | 'SERVER'
  /** Epoch µs. */
  timestamp: number
  /** µs, at least 1. */
  duration: number
  localEndpoint: { serviceName: string }
  tags: Record<string, string>
}

/** Numbers of the fields of OTLP's `Span`. */
const Span = {
  traceId: 1,
  spanId: 2,
  parent: 4,
  name: 5,
  kind: 6,
  start: 7,
  end: 8,
  attributes: 9,
  status: 15,
} as const
const listField = 2
const kinds: Readonly<Record<number, 'CLIENT' | 'SERVER'>> = { 2: 'SERVER', 3: 'CLIENT' }
const errorCode = 2

export function zipkinSpans(groups: readonly RecordGroup[], { host }: HostFacts): ZipkinSpan[] {
  const spans: ZipkinSpan[] = []
  for (const { bytes, service } of groups)
    for (const entry of protoFields(bytes))
      if (entry.number === listField) spans.push(spanOf(entry.bytes, service, host))
  return spans
}

function spanOf(bytes: Buffer, service: string, host: string): ZipkinSpan {
  const span: ZipkinSpan = {
    traceId: '',
    id: '',
    name: '',
    timestamp: 0,
    duration: 1,
    localEndpoint: { serviceName: service },
    tags: { 'host.name': host },
  }
  let isError = false
  let end = 0
  for (const field of protoFields(bytes)) {
    switch (field.number) {
      case Span.traceId:
        span.traceId = field.bytes.toString('hex')
        break
      case Span.spanId:
        span.id = field.bytes.toString('hex')
        break
      case Span.parent:
        span.parentId = field.bytes.toString('hex')
        break
      case Span.name:
        span.name = field.bytes.toString('utf8')
        break
      case Span.kind:
        span.kind = kinds[field.value] ?? 'CLIENT'
        break
      case Span.start:
        span.timestamp = Math.round(field.value / 1000)
        break
      case Span.end:
        end = Math.round(field.value / 1000)
        break
      case Span.attributes: {
        const [key, value] = attributeOf(field.bytes)
        span.tags[key] = value
        break
      }
      case Span.status:
        for (const { number, value } of protoFields(field.bytes))
          isError = isError || (number === 3 && value === errorCode)
    }
  }
  span.duration = Math.max(1, end - span.timestamp)
  if (isError) span.tags['error'] = span.tags['error.type'] ?? 'true'
  return span
}

function attributeOf(bytes: Buffer): readonly [key: string, value: string] {
  let key = ''
  let text = ''
  for (const { bytes: inner, number } of protoFields(bytes)) {
    if (number === 1) key = inner.toString('utf8')
    else
      for (const value of protoFields(inner))
        text = value.number === 1 ? value.bytes.toString('utf8') : String(value.value)
  }
  return [key, text]
}
