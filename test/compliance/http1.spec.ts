import { defaultLimits } from '../../contracts/snapshot.ts'
import { StringCache } from '../../http1/string-cache.ts'
import { CallerAccount } from '../../agent/worker/callers/caller-account.ts'
import { LiveTable } from '../../agent/worker/listen/live-table.ts'
import { Tallies } from '../../agent/worker/observe/tallies.ts'
import { Http1Connection } from '../../agent/worker/protocols/http1/connection.ts'
import { Http1Settings } from '../../agent/worker/protocols/http1/deps.ts'
import { http1DownstreamStreams } from '../../agent/worker/protocols/http1/downstream-stream.ts'
import { Http1Link } from '../../agent/worker/protocols/http1/upstream-link.ts'
import { http1UpstreamStreams } from '../../agent/worker/protocols/http1/upstream-stream.ts'
import { BulkMover } from '../../agent/worker/transport/bulk-flow.ts'
import { Clock } from '../../agent/worker/transport/clock.ts'
import { Output } from '../../agent/worker/transport/output.ts'
import { TimerWheel } from '../../agent/worker/transport/timer-wheel.ts'
import { parseReplies, parseRequests } from '../support/http1/strict-parser.ts'
import type { StrictMessage } from '../support/http1/strict-parser.ts'
import { acceptedOrders } from '../support/accepted-orders.ts'
import { MemoryTransport } from '../support/memory-transport.ts'
import { describeCodec } from './codec.ts'
import type { WireMessage, WireParts } from './codec.ts'

function deps() {
  const strings = new StringCache()
  return {
    clock: new Clock(() => 1000),
    wheel: new TimerWheel(
      () => 1000,
      () => {},
    ),
    output: new Output(),
    bulk: new BulkMover(undefined),
    strings,
    tallies: new Tallies(),
    settings: new Http1Settings(strings, defaultLimits, 'mesh', 'agent'),
  }
}

function written(startLine: string, parts: WireParts): Buffer {
  const { content, fields = [], saysLength = false, trailers = [] } = parts
  const line = ([name, value]: readonly [string, string]): string => `${name}: ${value}\r\n`
  let text = `${startLine}\r\n${fields.map(line).join('')}`
  if (content === undefined) return Buffer.from(`${text}\r\n`, 'latin1')
  if (saysLength) return Buffer.from(`${text}Content-Length: ${content.length}\r\n\r\n${content}`, 'latin1')
  text += 'Transfer-Encoding: chunked\r\n\r\n'
  for (let from = 0; from < content.length; from += 10_000) {
    const piece = content.slice(from, from + 10_000)
    text += `${piece.length.toString(16)}\r\n${piece}\r\n`
  }
  return Buffer.from(`${text}0\r\n${trailers.map(line).join('')}\r\n`, 'latin1')
}

function wireMessage(message: StrictMessage): WireMessage {
  const named = (fields: readonly (readonly [string, string])[]) =>
    new Map(fields.map(([name, value]) => [name.toLowerCase(), value] as const))
  const fields = named(message.fields)
  const { body: content, method, status, target } = message
  return {
    method,
    status,
    target,
    authority: fields.get('host') ?? '',
    fields,
    content,
    trailers: named(message.trailers),
  }
}

describeCodec('HTTP/1.1', () => {
  const shared = deps()
  return {
    accept(openExchange) {
      const transport = new MemoryTransport()
      const streams = http1DownstreamStreams(shared, openExchange)
      const connectionDeps = {
        ...shared,
        live: new LiveTable(),
        streams,
        accountOf: () => new CallerAccount('test'),
        beginHttp2() {},
      }
      new Http1Connection(connectionDeps, acceptedOrders(), transport).open(null)
      return transport
    },
    connect(home) {
      const wire = new MemoryTransport()
      return { wire, link: new Http1Link(http1UpstreamStreams(shared), wire, home) }
    },
    request: (parts) =>
      written(`${parts.method ?? 'GET'} ${parts.target ?? '/'} HTTP/1.1`, {
        ...parts,
        fields: [['Host', 'orders'], ...(parts.fields ?? [])],
      }),
    reply: (parts) => written(`HTTP/1.1 ${parts.status} Some`, parts),
    nonsense: {
      request: Buffer.from('this is no message\r\n\r\n'),
      reply: Buffer.from('this is no message\r\n\r\n'),
    },
    readRequests: (bytes) => parseRequests(bytes).messages.map(wireMessage),
    readReplies: (bytes, methods) => parseReplies(bytes, methods, false).messages.map(wireMessage),
    isSeenBroken: (wire) =>
      wire.isClosed && (wire.wasReset || parseReplies(wire.received, ['GET'], true).messages.length === 0),
  }
})
