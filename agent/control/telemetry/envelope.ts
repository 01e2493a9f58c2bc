/**
 * The messages around the records of workers, which are written and read by hand: they are small, and the records pass
 * as they are (decision 0045).
 */
import { protoFields, protoHead } from '../../../contracts/proto-fields.ts'
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

/** Fields with a length, of every message here. */
const first = 1
const second = 2

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
    const scopedHead = protoHead(second, scoped)
    return [protoHead(first, resource.length + scopedHead.length + scoped), resource, scopedHead, scope, ...records]
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

function field(number: number, parts: readonly Buffer[]): Buffer {
  return Buffer.concat([protoHead(number, lengthOf(parts)), ...parts])
}

/**
 * How many records a collector did not take of a request that it answered with success (`partial_success`, field 1,
 * whose field 1 is the number).
 */
export function rejectedIn(reply: Buffer): { readonly count: number; readonly message: string } {
  let count = 0
  let message = ''
  try {
    for (const partial of protoFields(reply)) {
      if (partial.number !== 1) continue
      for (const { bytes, number, value } of protoFields(partial.bytes)) {
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
