/**
 * One session of HTTP/2 against a peer that says frames in any order, damaged or not, in pieces of any length, while
 * the users of its streams take, hold back, answer and give up as they like. Whatever comes, the session throws
 * nothing, writes whole frames of allowed lengths only, answers a bounded number of them, and after an error of the
 * connection it ends. Both roles.
 */
import { Flow } from '../../../../agent/worker/protocols/http2/flow.ts'
import type { FlowUser } from '../../../../agent/worker/protocols/http2/flow.ts'
import { H2Error } from '../../../../agent/worker/protocols/http2/frames.ts'
import { writeField, writeStatus } from '../../../../agent/worker/protocols/http2/hpack/encoder.ts'
import { Http2Session } from '../../../../agent/worker/protocols/http2/session.ts'
import { Random } from '../../http1/fuzz/random.ts'
import { MemoryTransport } from '../../memory-transport.ts'
import { http2Deps } from '../deps.ts'
import {
  block,
  errorIn,
  Flags,
  frame,
  framesOf,
  getFields,
  magic,
  postFields,
  settings,
  Type,
  word,
} from '../frames.ts'

export interface SessionFuzzTotals {
  readonly frames: number
  readonly connections: number
  /** Connections that ended with an error. */
  readonly ended: number
  readonly heads: number
}

const maxFrameBytes = 16_384
const framesPerConnection = 40
/** Answers of a connection for each frame of the peer, and what it says by itself. */
const answersPerFrame = 4
const ownFrames = 220
const streamsOfTheClient = 8

/** Throws with the seed and the bytes of the connection at the first finding. */
export async function fuzzSessions(seed: number, frames: number): Promise<SessionFuzzTotals> {
  const random = new Random(seed)
  const totals = { frames, connections: 0, ended: 0, heads: 0 }
  for (let done = 0; done < frames; done += framesPerConnection) {
    const isServer = random.chance(0.6)
    const sent = Buffer.concat([
      ...(isServer && !random.chance(0.02) ? [magic] : []),
      settings(),
      ...saidBy(random, isServer),
    ])
    totals.connections++
    try {
      const { received, heads, hasEnded } = await oneConnection(sent, isServer, random)
      totals.heads += heads
      if (judge(received, isServer, hasEnded)) totals.ended++
    } catch (cause) {
      throw new Error(
        `HTTP/2, seed ${seed}, connection ${totals.connections} (${isServer ? 'server' : 'client'}): ${(cause as Error).stack}\n${sent.toString('hex')}`,
        { cause },
      )
    }
  }
  return totals
}

interface Seen {
  readonly received: Buffer
  readonly heads: number
  readonly hasEnded: boolean
}

async function oneConnection(sent: Buffer, isServer: boolean, random: Random): Promise<Seen> {
  const wire = new MemoryTransport()
  const flows: Flow[] = []
  let heads = 0
  const user = (): FlowUser => ({
    onHead: () => void heads++,
    onFault() {},
    accepts: () => random.chance(0.7),
    onContent() {},
    onEnd() {},
    onPause() {},
    onReset() {},
    onDrained() {},
  })
  const makeFlow = (): Flow => {
    const flow = new Flow(user())
    flows.push(flow)
    return flow
  }
  const session = new Http2Session(http2Deps(), wire, isServer, {
    takeFlow: () => (random.chance(0.95) ? makeFlow() : null),
    onStreamEnd() {},
    onSettings() {},
    onPong() {},
    onGoAway() {},
    onClosed() {},
  })
  const saidHead = new Set<Flow>()
  session.open(null)
  if (!isServer)
    for (let count = 0; count < streamsOfTheClient && session.canOpen; count++) {
      session.begin(makeFlow())
      const out = session.sender.beginHead()
      for (const [name, value] of random.chance(0.5) ? getFields : postFields) writeField(out, name, value, false)
      const flow = flows.at(-1)!
      session.sender.endHead(flow, random.chance(0.5))
      saidHead.add(flow)
    }
  for (let at = 0; at < sent.length && !wire.isClosed;) {
    const to = Math.min(sent.length, at + 1 + random.below(random.chance(0.3) ? 9 : 2000))
    wire.send(Buffer.from(sent.subarray(at, to)))
    at = to
    if (random.chance(0.3)) await turn()
    if (flows.length > 0 && random.chance(0.3)) use(session, random.pick(flows), saidHead, random)
  }
  await turn()
  await turn()
  const hasEnded = wire.isClosed || wire.hasSentEnd
  session.abort()
  return { received: wire.received, heads, hasEnded }
}

/** What a user may do with a stream at any moment: its head first, then content until it said its end. */
function use(session: Http2Session, flow: Flow, saidHead: Set<Flow>, random: Random): void {
  if (!flow.isOpen) return
  switch (random.below(5)) {
    case 0:
      flow.resume()
      return
    case 1:
      flow.pause()
      return
    case 2:
      flow.reset(H2Error.cancel)
      return
    default:
      if (flow.isLocalDone) return
      if (saidHead.has(flow)) {
        const content = Buffer.alloc(random.below(3000))
        flow.data(content, 0, content.length)
        if (random.chance(0.3)) flow.end(null)
        else flow.flush()
        return
      }
      saidHead.add(flow)
      writeStatus(session.sender.beginHead(), 200)
      session.sender.endHead(flow, random.chance(0.3))
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** True = the connection ended with an error. Throws when what was written is not what a session may write. */
function judge(received: Buffer, isServer: boolean, hasEnded: boolean): boolean {
  const bytes = isServer ? received : received.subarray(magic.length)
  if (!isServer && !received.subarray(0, magic.length).equals(magic)) throw new Error('no preface')
  const frames = framesOf(bytes)
  const length = frames.reduce((sum, { payload }) => sum + 9 + payload.length, 0)
  if (length !== bytes.length) throw new Error(`${bytes.length - length} bytes behind the last whole frame`)
  for (const { payload, type } of frames)
    if (payload.length > maxFrameBytes) throw new Error(`a frame of type ${type} with ${payload.length} bytes`)
  const most = framesPerConnection * answersPerFrame + ownFrames
  if (frames.length > most) throw new Error(`${frames.length} frames, at most ${most}`)
  const isError = errorIn(bytes).startsWith('connection')
  if (isError && !hasEnded) throw new Error('an error of the connection that does not end it')
  return isError
}

/**
 * What a peer says in one connection: for a while as a peer does, with what is wrong now and then, so that what is
 * right before it has left something behind.
 */
function saidBy(random: Random, isServer: boolean): Buffer[] {
  const wrong = random.pick([0, 0.01, 0.05, 0.3])
  const opened: number[] = isServer ? [] : Array.from({ length: streamsOfTheClient }, (_, n) => 2 * n + 1)
  return Array.from({ length: framesPerConnection }, () => {
    const isWrong = random.chance(wrong)
    const made = isWrong && random.chance(0.7) ? anyFrame(random, isServer) : goodFrame(random, isServer, opened)
    if (!isWrong || random.chance(0.5)) return made
    const copy = Buffer.from(made)
    copy[random.below(copy.length)] = random.below(256)
    return copy
  })
}

function goodFrame(random: Random, isServer: boolean, opened: number[]): Buffer {
  const isOpening = isServer && (opened.length === 0 || random.chance(0.25))
  if (isOpening || (!isServer && random.chance(0.25))) {
    const id = isOpening ? (opened.at(-1) ?? -1) + 2 : random.pick(opened)
    if (isOpening) opened.push(id)
    return frame(
      Type.headers,
      Flags.endHeaders | (random.chance(0.3) ? Flags.endStream : 0),
      id,
      head(random, isServer),
    )
  }
  const id = random.pick(opened)
  switch (random.below(6)) {
    case 0:
    case 1:
      return frame(
        Type.data,
        random.chance(0.2) ? Flags.endStream : 0,
        id,
        Buffer.alloc(random.below(random.pick([100, 9000]))),
      )
    case 2:
      return frame(Type.windowUpdate, 0, random.chance(0.4) ? 0 : id, word(1 + random.below(60_000)))
    case 3:
      return frame(Type.ping, 0, 0, Buffer.alloc(8))
    case 4:
      return random.chance(0.3) ? frame(Type.rstStream, 0, id, word(8)) : settings([4, random.below(100_000)])
    default:
      return random.chance(0.1)
        ? frame(Type.goAway, 0, 0, Buffer.concat([word(id), word(0)]))
        : settings([3, random.below(100)])
  }
}

/** Any type on any stream. */
function anyFrame(random: Random, isServer: boolean): Buffer {
  const id = random.below(40)
  const flags = random.chance(0.7) ? random.pick([0, 1, 4, 5]) : random.below(256)
  switch (random.below(9)) {
    case 0:
      return frame(Type.headers, flags, id, head(random, isServer))
    case 1:
      return frame(Type.data, flags, id, Buffer.alloc(random.below(17_000)))
    case 2:
      return frame(Type.windowUpdate, 0, id, word(random.below(random.pick([2, 1000, 2 ** 31]))))
    case 3:
      return frame(Type.rstStream, 0, id, word(random.below(16)))
    case 4:
      return settings([random.below(10), random.below(random.pick([2, 70_000, 2 ** 32]))])
    case 5:
      return frame(Type.ping, random.below(2), 0, Buffer.alloc(random.below(12)))
    case 6:
      return frame(Type.goAway, 0, 0, Buffer.concat([word(random.below(50)), word(random.below(14))]))
    case 7:
      return frame(Type.continuation, flags, id, head(random, isServer))
    default:
      return frame(random.below(256), flags, id, Buffer.alloc(random.below(30)))
  }
}

function head(random: Random, isServer: boolean): Buffer {
  if (random.chance(0.02)) return Buffer.from(Array.from({ length: random.below(60) }, () => random.below(256)))
  const first = isServer
    ? random.pick([getFields, postFields])
    : ([[':status', random.pick(['200', '200', '200', '100', '204', '999'])]] as const)
  const wrong = random.chance(0.1)
    ? [
        random.pick([
          ['content-length', '3'],
          ['connection', 'close'],
          ['X-A', ''],
        ] as const),
      ]
    : []
  const more = Array.from({ length: random.below(5) }, () =>
    random.pick([
      ['cookie', 'a=b'],
      ['te', 'trailers'],
      ['x-a', 'v'.repeat(random.below(300))],
      ['x-b', 'v'],
      ['grpc-status', '0'],
    ] as const),
  )
  return block(random.chance(0.97) ? [...first, ...more, ...wrong] : more)
}
