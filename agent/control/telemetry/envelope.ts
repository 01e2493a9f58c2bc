/**
 * The messages around the records of workers, which are written and read by hand: they are small, and the records pass
 * as they are (decision 0045).
 */
import type { Signal } from '../../../contracts/telemetry.ts'

/** Records of one service, as a worker wrote them: entries of a repeated field, one behind the other. */
export interface RecordGroup {
  readonly service: string
  readonly count: number
  readonly bytes: Buffer
}

/** What is the same for all records of a host. */
export interface HostFacts {
  readonly host: string
  readonly zone: string
  readonly version: string
}

/** Fields 1 and 2 with a length, of every message here. */
const first = 0x0a
const second = 0x12

/**
 * `ExportTraceServiceRequest` or `ExportLogsServiceRequest`, which are alike: one resource per service, in it one
 * scope. In pieces, so that records are not copied.
 */
export function exportParts(groups: readonly RecordGroup[], facts: HostFacts): Buffer[] {
  const byService = new Map<string, Buffer[]>()
  for (const { bytes, service } of groups) {
    const known = byService.get(service)
    if (known === undefined) byService.set(service, [bytes])
    else known.push(bytes)
  }
  const scope = field(first, [field(first, [Buffer.from('hostmesh')]), field(second, [Buffer.from(facts.version)])])
  return [...byService].flatMap(([service, records]) => {
    const resource = field(first, resourceAttributes(service, facts))
    const scoped = scope.length + lengthOf(records)
    const scopedHead = head(second, scoped)
    return [head(first, resource.length + scopedHead.length + scoped), resource, scopedHead, scope, ...records]
  })
}

export function exportRequest(groups: readonly RecordGroup[], facts: HostFacts): Buffer {
  return Buffer.concat(exportParts(groups, facts))
}

export function lengthOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0)
}

function resourceAttributes(service: string, { host, version, zone }: HostFacts): Buffer[] {
  const attributes: [string, string][] = [
    ['service.name', service],
    ['host.name', host],
    ['telemetry.sdk.name', 'hostmesh'],
    ['telemetry.sdk.language', 'nodejs'],
    ['telemetry.sdk.version', version],
  ]
  if (zone !== '') attributes.push(['cloud.availability_zone', zone])
  return attributes.map(([key, value]) =>
    field(first, [field(first, [Buffer.from(key)]), field(second, [field(first, [Buffer.from(value)])])]),
  )
}

function field(tag: number, parts: readonly Buffer[]): Buffer {
  return Buffer.concat([head(tag, lengthOf(parts)), ...parts])
}

function head(tag: number, length: number): Buffer {
  const bytes = [tag]
  let rest = length
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

export interface WireField {
  readonly number: number
  /** Of a varint or a fixed number, to the nearest double; 0 otherwise. */
  readonly value: number
  /** Of what has a length; empty otherwise. */
  readonly bytes: Buffer
}

/** The fields of a message in their order. Throws a RangeError for bytes that are none. */
export function* fieldsOf(message: Buffer): Generator<WireField> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = message[at++]
      if (byte === undefined || scale > 2 ** 63) throw new RangeError('a number without an end')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  const nothing = message.subarray(0, 0)
  while (at < message.length) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    switch (tag % 8) {
      case 0:
        yield { number, value: varint(), bytes: nothing }
        break
      case 1: {
        const value = Number(message.readBigUInt64LE(at))
        at += 8
        yield { number, value, bytes: nothing }
        break
      }
      case 2: {
        const length = varint()
        if (at + length > message.length) throw new RangeError('a field that is longer than its message')
        yield { number, value: 0, bytes: message.subarray(at, at + length) }
        at += length
        break
      }
      case 5: {
        const value = message.readUInt32LE(at)
        at += 4
        yield { number, value, bytes: nothing }
        break
      }
      default:
        throw new RangeError(`wire type ${tag % 8}`)
    }
  }
}

/**
 * How many records a collector did not take of a request that it answered with success (`partial_success`, field 1,
 * whose field 1 is the number).
 */
export function rejectedIn(reply: Buffer): { readonly count: number; readonly message: string } {
  let count = 0
  let message = ''
  try {
    for (const partial of fieldsOf(reply)) {
      if (partial.number !== 1) continue
      for (const { bytes, number, value } of fieldsOf(partial.bytes)) {
        if (number === 1) count = value
        else if (number === 2) message = bytes.toString('utf8')
      }
    }
  } catch {
    // an answer that is no protobuf says nothing about records
  }
  return { count, message }
}

export const servicePath: Readonly<Record<Signal, string>> = {
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
}
