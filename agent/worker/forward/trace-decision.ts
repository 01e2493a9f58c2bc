/** Whether a request has a trace, whose, and whether a span of it is recorded. */
import type { MeshSpec } from '../../../contracts/snapshot.ts'
import type { HeaderEdits } from '../route/types.ts'
import type { RequestMessage } from './streams.ts'
import { traceBits, TraceBits } from './trace-context.ts'
import type { TraceContext } from './trace-context.ts'
import { hasTraceFields, readTraceParent } from './trace-parent.ts'

/** Envoy's: a local caller wants this request recorded. */
const forceField = 'x-envoy-force-trace'

/** Left out where we write the caller's trace anew. */
export const callersTrace: HeaderEdits = {
  fields: [],
  drop: new Set([
    'traceparent',
    'b3',
    'x-b3-traceid',
    'x-b3-spanid',
    'x-b3-parentspanid',
    'x-b3-sampled',
    'x-b3-flags',
  ]),
}

/** The same where it could not be read: what systems keep beside it belongs to it (W3C Trace Context, 3.3.1). */
export const brokenTrace: HeaderEdits = { fields: [], drop: new Set([...callersTrace.drop, 'tracestate']) }

type Tracing = MeshSpec['tracing']

/**
 * Once for each request. Without a collector: a request without a trace gets one, another is left alone. With one: the
 * caller's word counts, then `x-envoy-force-trace` of a local caller, then the share. A span that is recorded becomes
 * the parent of what the endpoint does; what is not recorded passes as it came.
 */
export function decideTrace(
  trace: TraceContext,
  request: RequestMessage,
  tracing: Tracing,
  isFromNetwork: boolean,
  random: () => number,
): void {
  trace.isDecided = true
  if (tracing.isExported !== true) {
    if (!tracing.createMissing || hasTraceFields(request)) return
    begin(trace, tracing, wants(request, tracing, isFromNetwork, random), random)
    return
  }
  const word = readTraceParent(request, trace)
  if (!trace.hasParent) {
    const isForce = isForced(request, isFromNetwork)
    if (!tracing.createMissing && !isForce) return
    begin(trace, tracing, isForce || (word === 'none' && random() < tracing.sampledShare), random)
    trace.isRecorded = trace.isSampled
    trace.nextSpan(random)
    return
  }
  const isWanted =
    word === 'sampled' ||
    (word === 'open' ? wants(request, tracing, isFromNetwork, random) : isForced(request, isFromNetwork))
  if (!isWanted) return
  trace.isThere = true
  trace.isSampled = true
  trace.isRecorded = true
  trace.nextSpan(random)
}

function begin(trace: TraceContext, tracing: Tracing, isSampled: boolean, random: () => number): void {
  trace.begin(isSampled, random)
  trace.formats = tracing.propagation === undefined ? TraceBits.w3c : traceBits(tracing.propagation)
}

function wants(request: RequestMessage, tracing: Tracing, isFromNetwork: boolean, random: () => number): boolean {
  return random() < tracing.sampledShare || isForced(request, isFromNetwork)
}

/** A peer of the network has no say in what this host records. */
function isForced(request: RequestMessage, isFromNetwork: boolean): boolean {
  return !isFromNetwork && request.header(forceField) === 'true'
}
