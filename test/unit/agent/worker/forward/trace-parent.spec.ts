import { expect } from 'chai'
import type { RequestMessage } from '../../../../../agent/worker/forward/streams.ts'
import { TraceContext } from '../../../../../agent/worker/forward/trace-context.ts'
import { decideTrace } from '../../../../../agent/worker/forward/trace-decision.ts'
import { readTraceParent } from '../../../../../agent/worker/forward/trace-parent.ts'
import type { TracingSpec } from '../../../../../contracts/snapshot.ts'
import { seededRandom } from '../../../../support/seeded-random.ts'

const id = '0af7651916cd43dd8448eb211c80319c'
const short = '8448eb211c80319c'
const span = 'b7ad6b7169203331'

const request = (fields: Readonly<Record<string, string>>): RequestMessage =>
  ({ header: (name: string) => fields[name] }) as RequestMessage

describe('the trace of a caller', () => {
  const readable: readonly (readonly [fields: Record<string, string>, word: string, traceId: string])[] = [
    [{ traceparent: `00-${id}-${span}-01` }, 'sampled', id],
    [{ traceparent: `00-${id}-${span}-00` }, 'not-sampled', id],
    [{ traceparent: `00-${id.toUpperCase()}-${span}-03` }, 'sampled', id],
    [{ traceparent: `cc-${id}-${span}-01-what-comes-later` }, 'sampled', id],
    [{ b3: `${id}-${span}` }, 'open', id],
    [{ b3: `${id}-${span}-1` }, 'sampled', id],
    [{ b3: `${id}-${span}-d` }, 'sampled', id],
    [{ b3: `${id}-${span}-0-${span}` }, 'not-sampled', id],
    [{ b3: `${short}-${span}-1` }, 'sampled', short.padStart(32, '0')],
    [{ 'x-b3-traceid': id, 'x-b3-spanid': span }, 'open', id],
    [{ 'x-b3-traceid': short, 'x-b3-spanid': span, 'x-b3-sampled': '1' }, 'sampled', short.padStart(32, '0')],
    [{ 'x-b3-traceid': id, 'x-b3-spanid': span, 'x-b3-sampled': '0' }, 'not-sampled', id],
    [{ 'x-b3-traceid': id, 'x-b3-spanid': span, 'x-b3-sampled': '0', 'x-b3-flags': '1' }, 'sampled', id],
    [{ traceparent: 'broken', b3: `${id}-${span}-1` }, 'sampled', id],
  ]
  for (const [fields, word, traceId] of readable)
    it(`${JSON.stringify(fields)} is ${word}`, () => {
      const trace = new TraceContext()
      expect(readTraceParent(request(fields), trace)).to.equal(word)
      expect(trace.traceId.toString()).to.equal(traceId)
      expect(trace.parentId.toString()).to.equal(span)
      expect(trace.hasParent).to.equal(true)
    })

  const unreadable: readonly Record<string, string>[] = [
    {},
    { traceparent: '' },
    { traceparent: `00-${'0'.repeat(32)}-${span}-01` },
    { traceparent: `00-${id}-${'0'.repeat(16)}-01` },
    { traceparent: `ff-${id}-${span}-01` },
    { traceparent: `00-${id}-${span}-01-more` },
    { traceparent: `00-${id}-${span}-0` },
    { traceparent: `00-${id.slice(1)}g-${span}-01` },
    { traceparent: `00_${id}-${span}-01` },
    { b3: 'x' },
    { b3: `${id}${span}-1` },
    { b3: `${id}-${span.slice(1)}` },
    { 'x-b3-traceid': id },
    { 'x-b3-traceid': `${id}0`, 'x-b3-spanid': span },
  ]
  for (const fields of unreadable)
    it(`${JSON.stringify(fields)} is none`, () => {
      const trace = new TraceContext()
      expect(readTraceParent(request(fields), trace)).to.equal('none')
      expect(trace.hasParent).to.equal(false)
    })
})

describe('what is recorded of a request', () => {
  const tracing: TracingSpec = { createMissing: true, sampledShare: 0, isExported: true }
  function decide(
    fields: Record<string, string>,
    spec: Partial<TracingSpec> = {},
    isFromNetwork = false,
  ): TraceContext {
    const trace = new TraceContext()
    decideTrace(trace, request(fields), { ...tracing, ...spec }, isFromNetwork, seededRandom(3))
    return trace
  }

  it('goes by the word of the caller', () => {
    expect(decide({ traceparent: `00-${id}-${span}-01` })).to.include({
      isRecorded: true,
      isThere: true,
      replaces: true,
    })
    expect(decide({ traceparent: `00-${id}-${span}-00` }, { sampledShare: 1 })).to.include({
      isRecorded: false,
      isThere: false,
    })
    expect(decide({ b3: '0' }, { sampledShare: 1 })).to.include({ isRecorded: false, isThere: true, isSampled: false })
  })

  it('goes by the share where the caller says nothing', () => {
    expect(decide({}, { sampledShare: 1 })).to.include({ isRecorded: true, isThere: true, replaces: false })
    expect(decide({}, { sampledShare: 0 })).to.include({ isRecorded: false, isThere: true })
    expect(decide({ b3: `${id}-${span}` }, { sampledShare: 1 })).to.include({ isRecorded: true })
    expect(decide({ b3: `${id}-${span}` }, { sampledShare: 0 })).to.include({ isRecorded: false, isThere: false })
    expect(decide({}, { sampledShare: 1, createMissing: false })).to.include({ isRecorded: false, isThere: false })
  })

  it('goes by x-envoy-force-trace of a local caller, never of the network', () => {
    const force = { 'x-envoy-force-trace': 'true' }
    expect(decide(force)).to.include({ isRecorded: true })
    expect(decide(force, { createMissing: false })).to.include({ isRecorded: true })
    expect(decide({ ...force, traceparent: `00-${id}-${span}-00` })).to.include({ isRecorded: true })
    expect(decide(force, {}, true)).to.include({ isRecorded: false })
    expect(decide({ 'x-envoy-force-trace': 'false' })).to.include({ isRecorded: false })
  })

  it('is nothing without a collector, and a trace of a caller is then left alone', () => {
    expect(decide({ traceparent: `00-${id}-${span}-01` }, { isExported: false })).to.include({
      isRecorded: false,
      isThere: false,
    })
    expect(decide({}, { isExported: false, sampledShare: 1 })).to.include({
      isRecorded: false,
      isThere: true,
      isSampled: true,
    })
  })

  it('goes on in the fields in which it came, a short id as a short one', () => {
    const trace = decide({ b3: `${short}-${span}-1` })
    expect(trace.fields()).to.deep.equal([['b3', `${short}-${trace.spanId.toString()}-1`]])
    const several = decide({ 'x-b3-traceid': id, 'x-b3-spanid': span, 'x-b3-sampled': '1' })
    expect(Object.fromEntries(several.fields())).to.deep.equal({
      'x-b3-traceid': id,
      'x-b3-spanid': several.spanId.toString(),
      'x-b3-parentspanid': span,
      'x-b3-sampled': '1',
    })
    const begun = decide({}, { sampledShare: 1, propagation: ['w3c', 'b3single'] })
    expect(begun.fields().map(([name]) => name)).to.deep.equal(['traceparent', 'b3'])
  })
})
