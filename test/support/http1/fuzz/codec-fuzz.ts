/**
 * Fuzzing the codec alone: what it passes on is judged by the strict parser, and cutting the input must change nothing.
 */
import { BodyReader } from '../../../../http1/body-reader.ts'
import { Head } from '../../../../http1/head.ts'
import { HeadWriter } from '../../../../http1/head-writer.ts'
import { readReply } from '../../../../http1/read-reply.ts'
import { readRequest } from '../../../../http1/read-request.ts'
import { StringCache } from '../../../../http1/string-cache.ts'
import { BodyKind, Method } from '../../../../http1/types.ts'
import { defaultLimits } from '../../../../contracts/snapshot.ts'
import { replyPlan, requestPlan } from '../plans.ts'
import { parseReplies, parseRequests } from '../strict-parser.ts'
import type { StrictStream } from '../strict-parser.ts'
import { replyStream, requestStream } from './generate.ts'
import type { FuzzStream } from './generate.ts'
import { Random } from './random.ts'

export interface FuzzTotals {
  streams: number
  messages: number
  /** Messages that passed whole. */
  passed: number
  /** Streams that were refused somewhere. */
  refused: number
}

interface Forwarded {
  readonly text: string
  readonly whole: number
  readonly fault: number
}

/** Runs until `messages` messages were generated. Throws at the first finding, with the seed and the bytes. */
export function fuzzCodec(seed: number, messages: number): FuzzTotals {
  const source = new Random(seed)
  const totals: FuzzTotals = { streams: 0, messages: 0, passed: 0, refused: 0 }
  const forwarder = new Forwarder()
  while (totals.messages < messages) {
    const random = source.fork()
    const isReply = random.chance(0.3)
    const stream = isReply ? replyStream(random) : requestStream(random)
    const seen = check(forwarder, stream, isReply, random, seed)
    totals.streams++
    totals.messages += stream.messages
    totals.passed += seen.whole
    if (seen.fault !== 0) totals.refused++
  }
  return totals
}

function check(forwarder: Forwarder, stream: FuzzStream, isReply: boolean, random: Random, seed: number): Forwarded {
  const fail = (what: string, forwarded?: Forwarded): never => {
    throw new Error(
      `seed ${seed}: ${what}\n${isReply ? 'replies' : 'requests'}: ${JSON.stringify(stream.bytes.toString('latin1'))}` +
        (forwarded === undefined ? '' : `\npassed on (fault ${forwarded.fault}): ${JSON.stringify(forwarded.text)}`),
    )
  }
  let whole: Forwarded
  let pieces: Forwarded
  const startedAt = performance.now()
  try {
    whole = forwarder.run(stream, stream.bytes.length, isReply)
    pieces = forwarder.run(stream, 1 + random.below(random.chance(0.5) ? 3 : 50), isReply)
  } catch (error) {
    return fail(`threw ${String((error as Error).stack)}`)
  }
  if (performance.now() - startedAt > 1000) fail('took more than a second')
  if (whole.fault !== pieces.fault || whole.whole !== pieces.whole)
    fail(`cut into pieces: fault ${pieces.fault}`, whole)
  for (const forwarded of [whole, pieces]) {
    const bytes = Buffer.from(forwarded.text, 'latin1')
    const strict: StrictStream = isReply ? parseReplies(bytes, stream.methods, true) : parseRequests(bytes)
    if (strict.problem !== undefined) fail(`dirty forward: ${strict.problem}`, forwarded)
    const finals = strict.messages.filter((message) => message.status === 0 || message.status >= 200)
    if (finals.length !== forwarded.whole)
      fail(`${finals.length} whole messages where ${forwarded.whole} were read`, forwarded)
  }
  if (stream.isIntact && (whole.fault !== 0 || whole.whole !== stream.messages))
    fail(`an intact stream was refused: fault ${whole.fault}, ${whole.whole} of ${stream.messages}`, whole)
  return whole
}

class Forwarder {
  private readonly strings = new StringCache()
  private readonly writer = new HeadWriter('mesh')
  private readonly out = Buffer.alloc(300_000)

  /** What a proxy would have sent on, message after message, until the end or the first fault. */
  run(stream: FuzzStream, pieceBytes: number, isReply: boolean): Forwarded {
    const head = new Head(this.strings, 100)
    const body = new BodyReader()
    let text = ''
    let wholeCount = 0
    let held = Buffer.alloc(0)
    let isInBody = false
    let isOver = false
    const fault = (code: number): Forwarded => ({ text, whole: wholeCount, fault: code })
    const isFinal = () => !isReply || head.status >= 200
    const ended = () => {
      if (isFinal()) wholeCount++
      if (!isReply && !head.keepsAlive) isOver = true
    }
    for (let from = 0; from < stream.bytes.length && !isOver; from += pieceBytes) {
      const piece = stream.bytes.subarray(from, from + pieceBytes)
      const work = Buffer.concat([held, piece])
      held = Buffer.alloc(0)
      let at = 0
      while (at < work.length && !isOver) {
        if (!isInBody) {
          const method = (stream.methods[wholeCount] ?? 'GET') === 'HEAD' ? Method.head : Method.get
          if (isReply && wholeCount >= stream.methods.length) return fault(0)
          const taken = isReply
            ? readReply(head, work, at, work.length, defaultLimits, method, false)
            : readRequest(head, work, at, work.length, defaultLimits)
          if (taken < 0) return fault(taken)
          if (taken === 0) {
            held = work.subarray(at)
            break
          }
          at += taken
          if (isReply && head.body === BodyKind.untilClose) return fault(0)
          const end = isReply
            ? this.writer.reply(this.out, 0, head, replyPlan())
            : this.writer.request(this.out, 0, head, requestPlan())
          text += this.out.toString('latin1', 0, end)
          body.begin(head.body, head.contentLength, false, true, defaultLimits)
          isInBody = !body.isDone
          if (!isInBody) ended()
          continue
        }
        const taken = body.feed(work, at, work.length)
        if (taken < 0) return fault(taken)
        if (taken === 0) throw new Error('the body reader made no progress')
        for (let i = 0; i < body.runCount; i++)
          text += work.toString('latin1', body.runs[i * 2] as number, body.runs[i * 2 + 1] as number)
        at += taken
        if (body.isDone) {
          if (body.tail !== null) text += body.tail.toString('latin1')
          isInBody = false
          ended()
        }
      }
    }
    return fault(0)
  }
}
