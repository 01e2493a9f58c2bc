import { CallerAccount } from '../../agent/worker/callers/caller-account.ts'
import { LiveTable } from '../../agent/worker/listen/live-table.ts'
import { Http2Connection } from '../../agent/worker/protocols/http2/connection.ts'
import { http2DownstreamStreams } from '../../agent/worker/protocols/http2/downstream-stream.ts'
import { HpackDecoder, Scratch } from '../../agent/worker/protocols/http2/hpack/decoder.ts'
import { NameTable } from '../../agent/worker/protocols/http2/hpack/names.ts'
import { Http2Link } from '../../agent/worker/protocols/http2/upstream-link.ts'
import { http2UpstreamStreams } from '../../agent/worker/protocols/http2/upstream-stream.ts'
import { block, Flags, frame, framesOf, magic, settings, Type, word } from '../support/http2/frames.ts'
import { http2Deps } from '../support/http2/deps.ts'
import { acceptedOrders } from '../support/accepted-orders.ts'
import { MemoryTransport } from '../support/memory-transport.ts'
import { describeCodec } from './codec.ts'
import type { WireMessage, WireParts } from './codec.ts'

const { endHeaders, endStream, none } = Flags
/** Windows that hold nothing back: what an endpoint or a caller takes is the transport's business here. */
const greeting = Buffer.concat([settings([4, 1 << 24]), frame(Type.windowUpdate, none, 0, word(1 << 24))])
const large = 10_000

/** Frames of one message; `first`: of its head. */
function written(streamId: number, first: readonly (readonly [string, string])[], parts: WireParts): Buffer {
  const { content, fields = [], saysLength = false, trailers } = parts
  const length = content !== undefined && saysLength ? [['content-length', String(content.length)] as const] : []
  const lower = fields.map(([name, value]) => [name.toLowerCase(), value] as const)
  const head = block([...first, ...lower, ...length])
  const isInterim = first[0]![0] === ':status' && first[0]![1].startsWith('1')
  const isWhole = content === undefined && !isInterim
  const frames = [frame(Type.headers, endHeaders | (isWhole ? endStream : 0), streamId, head)]
  if (content === undefined) return frames[0]!
  for (let from = 0; from < content.length; from += large) {
    const isLast = from + large >= content.length && trailers === undefined
    const piece = Buffer.from(content.slice(from, from + large), 'latin1')
    frames.push(frame(Type.data, isLast ? endStream : none, streamId, piece))
  }
  if (trailers !== undefined) frames.push(frame(Type.headers, endHeaders | endStream, streamId, block(trailers)))
  return Buffer.concat(frames)
}

/** The messages of one side of a connection, in the order of their beginnings; only those that are whole. */
function messagesOf(bytes: Buffer): readonly WireMessage[] {
  const decoder = new HpackDecoder(new NameTable(), new Scratch())
  const messages: (WireMessage & { content: string; isWhole: boolean; streamId: number })[] = []
  const frames = framesOf(bytes.subarray(0, magic.length).equals(magic) ? bytes.subarray(magic.length) : bytes)
  for (const { flags, payload, streamId, type } of frames) {
    const open = messages.find((one) => one.streamId === streamId && !one.isWhole)
    if (type === Type.data) open!.content += payload.toString('latin1')
    if (type === Type.headers) {
      const fields = new Map<string, string>()
      const sink = { onField: ({ name, value }: { name: string; value: string }) => fields.set(name, value) !== null }
      if ((flags & endHeaders) === 0 || !decoder.decode(payload, 0, payload.length, sink)) throw new Error('no head')
      if (open !== undefined)
        for (const [name, value] of fields) (open.trailers as Map<string, string>).set(name, value)
      else {
        const of = (name: string): string => fields.get(name) ?? ''
        const status = Number(of(':status'))
        const named = { method: of(':method'), target: of(':path'), authority: of(':authority'), status }
        const isWhole = status >= 100 && status < 200
        messages.push({ ...named, fields, content: '', trailers: new Map(), isWhole, streamId })
      }
    }
    if (type !== Type.data && type !== Type.headers) continue
    const ended = messages.findLast((one) => one.streamId === streamId)
    if ((flags & endStream) !== 0) ended!.isWhole = true
  }
  return messages.filter(({ isWhole }) => isWhole)
}

describeCodec('HTTP/2', () => {
  const shared = http2Deps()
  let lastId = -1
  return {
    accept(openExchange) {
      lastId = -1
      const transport = new MemoryTransport()
      const deps = { ...shared, live: new LiveTable(), accountOf: () => new CallerAccount('test') }
      const streams = http2DownstreamStreams(deps, openExchange)
      new Http2Connection(deps, streams, acceptedOrders(), transport).open(null)
      transport.send(Buffer.concat([magic, greeting]))
      return transport
    },
    connect(home) {
      const wire = new MemoryTransport()
      const link = new Http2Link(shared, http2UpstreamStreams(shared), wire, home)
      wire.send(greeting)
      return { wire, link }
    },
    request(parts) {
      lastId += 2
      const first = [
        [':method', parts.method ?? 'GET'],
        [':scheme', 'http'],
        [':path', parts.target ?? '/'],
        [':authority', 'orders'],
      ] as const
      return written(lastId, first, parts)
    },
    reply: (parts) => written(1, [[':status', String(parts.status)]], parts),
    nonsense: {
      request: frame(Type.headers, endHeaders | endStream, 1, block([[':method', 'GET']])),
      reply: Buffer.concat([
        frame(Type.headers, endHeaders, 1, block([[':status', '200']])),
        frame(Type.headers, endHeaders | endStream, 1, Buffer.from([0xff, 0xff, 0xff])),
      ]),
    },
    readRequests: messagesOf,
    readReplies: messagesOf,
    isSeenBroken: (wire) =>
      framesOf(wire.received).some(({ streamId, type }) => type === Type.rstStream && streamId === 1) &&
      messagesOf(wire.received).length === 0,
  }
})
