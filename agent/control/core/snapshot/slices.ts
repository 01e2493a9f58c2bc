/**
 * A whole snapshot as frames that are made and read one at a time, so that neither control nor a worker stands still
 * for a large one.
 */
import type { ControlToWorker, SnapshotSlice } from '../../../../contracts/control-link.ts'
import { encodeFrame } from '../../../../contracts/frame.ts'
import type { VirtualHostSpec } from '../../../../contracts/route-spec.ts'
import type { ServiceSpec, Snapshot } from '../../../../contracts/snapshot.ts'

/**
 * Endpoints, routes and names of one frame, and each `metadataPerRecord` characters of metadata: about 1 MiB and 5 ms
 * on either side. A host with 100 services of 10 endpoints needs one frame.
 */
const recordsPerSlice = 2500
const metadataPerRecord = 400

type Part = keyof SnapshotSlice
type Value = ServiceSpec | VirtualHostSpec | string | null

/**
 * `slice` frames, as many as it takes, and then the `snapshot` frame with the rest. Each is made when it is asked for;
 * the snapshot must not change meanwhile.
 */
export function* snapshotFrames(snapshot: Snapshot): Generator<Buffer> {
  const parts: readonly Part[] = ['services', 'virtualHosts', 'names']
  let slice = emptySlice()
  let records = 0
  for (const part of parts) {
    for (const [key, value] of Object.entries<Value>(snapshot[part])) {
      slice[part][key] = value
      records += recordsOf(value)
      if (records < recordsPerSlice) continue
      yield encodeFrame({ type: 'slice', slice: slice as SnapshotSlice } satisfies ControlToWorker)
      slice = emptySlice()
      records = 0
    }
  }
  const rest = slice as SnapshotSlice
  yield encodeFrame({ type: 'snapshot', snapshot: { ...snapshot, ...rest } } satisfies ControlToWorker)
}

function emptySlice(): Record<Part, Record<string, Value>> {
  return { services: {}, virtualHosts: {}, names: {} }
}

function recordsOf(value: Value): number {
  if (typeof value !== 'object' || value === null) return 1
  if (!('endpoints' in value)) return 1 + value.http.length + value.tcp.length
  const { endpoints } = value.endpoints
  let characters = 0
  for (const { metadata } of endpoints) for (const name in metadata) characters += name.length + metadata[name]!.length
  return 1 + endpoints.length + characters / metadataPerRecord
}
