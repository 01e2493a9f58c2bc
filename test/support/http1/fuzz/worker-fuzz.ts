/**
 * Fuzzing a running worker, or the watchdog's relay: damaged streams go in at the listener, a recording backend stands
 * behind it, and the bytes on both sides are judged.
 */
import { dirtyForward } from '../recording-backend.ts'
import type { RecordedMesh } from '../recorded-mesh.ts'
import { RawCaller } from '../raw-caller.ts'
import { parseReplies, parseRequests } from '../strict-parser.ts'
import { replyStream, requestStream } from './generate.ts'
import type { FuzzStream } from './generate.ts'
import { Random } from './random.ts'

export interface WorkerFuzzTotals {
  streams: number
  messages: number
  /** Requests that reached the backend. */
  forwarded: number
  /** Final replies that the callers got, ours and the backend's. */
  replies: number
}

/** Connections open at the same time. */
const parallel = 24

/** A stream must be over, one way or the other, within this time: callers close their side at once. */
const hangMs = 20_000

/**
 * Runs until `messages` messages were sent to the worker of `mesh`. Throws at the first finding, with the seed and the
 * bytes. The worker should take few requests per upstream connection, for a recorded connection is parsed as a whole.
 */
export async function fuzzWorker(seed: number, messages: number, mesh: RecordedMesh): Promise<WorkerFuzzTotals> {
  const { backend } = mesh
  const source = new Random(seed)
  const totals: WorkerFuzzTotals = { streams: 0, messages: 0, forwarded: 0, replies: 0 }
  while (totals.messages < messages) {
    const streams: FuzzStream[] = []
    const randoms: Random[] = []
    for (let i = 0; i < parallel * 8 && totals.messages < messages; i++) {
      const random = source.fork()
      const stream = requestStream(random)
      streams.push(stream)
      randoms.push(random)
      totals.messages += stream.messages
    }
    totals.streams += streams.length
    const answered = await Promise.all(
      Array.from({ length: parallel }, async (_, lane) => {
        let fromBackend = 0
        for (let i = lane; i < streams.length; i += parallel) {
          const seen = await sendOne(seed, mesh, streams[i] as FuzzStream, randoms[i] as Random)
          totals.replies += seen.replies
          fromBackend += seen.fromBackend
        }
        return fromBackend
      }),
    )
    let forwarded = 0
    for (const connection of backend.connections) {
      const problem = dirtyForward(connection)
      // A cut stream may still be on its way to being closed; it is judged again when its connection is gone
      if (problem !== undefined && !(problem.startsWith('the stream stops') && (await endsSoon(connection))))
        throw new Error(
          `seed ${seed}: dirty forward: ${problem}\n${JSON.stringify(connection.bytes.toString('latin1'))}\nsent in this round:\n${streams.map((stream) => JSON.stringify(stream.bytes.toString('latin1'))).join('\n')}`,
        )
      forwarded += parseRequests(connection.bytes).messages.length
    }
    totals.forwarded += forwarded
    const fromBackend = answered.reduce((sum, count) => sum + count, 0)
    if (fromBackend > forwarded)
      throw new Error(`seed ${seed}: ${fromBackend} replies of the backend for ${forwarded} requests that it saw`)
    backend.reset()
  }
  return totals
}

/**
 * The other direction: whole requests go in, the endpoint answers with damaged replies and closes. The caller must get
 * a stream that the strict parser takes, whole or cut short, and never a second final reply. Where the worker sends one
 * request per connection, replies also come in pieces; else what an endpoint says too late would answer the next
 * request.
 */
export async function fuzzWorkerReplies(seed: number, messages: number, mesh: RecordedMesh): Promise<WorkerFuzzTotals> {
  const { backend, port } = mesh
  const source = new Random(seed)
  const totals: WorkerFuzzTotals = { streams: 0, messages: 0, forwarded: 0, replies: 0 }
  while (totals.messages < messages) {
    const cases: {
      readonly bytes: Buffer
      readonly random: Random
      readonly method: string
      readonly isIntact: boolean
    }[] = []
    for (let i = 0; i < parallel * 8 && totals.messages < messages; i++) {
      const random = source.fork()
      const stream = replyStream(random)
      cases.push({ bytes: stream.bytes, random, method: stream.methods[0] as string, isIntact: stream.isIntact })
      totals.messages += stream.messages
    }
    totals.streams += cases.length
    backend.answer = (message, connection) => {
      const { bytes, random } = cases[Number(message.target.slice(1))] as (typeof cases)[number]
      const { socket } = connection
      if (mesh.requestsPerConnection > 1) socket.end(bytes)
      else {
        void inPieces(bytes, random, (piece) => {
          if (!socket.destroyed) socket.write(piece)
        }).then(() => socket.end())
      }
      return undefined
    }
    await Promise.all(
      Array.from({ length: parallel }, async (_, lane) => {
        for (let i = lane; i < cases.length; i += parallel) {
          const one = cases[i] as (typeof cases)[number]
          const caller = await RawCaller.open(port)
          caller.send(
            `${one.method} /${i} HTTP/1.1\r\nHost: a\r\n${one.method === 'POST' ? 'Content-Length: 2\r\n' : ''}\r\n${one.method === 'POST' ? 'hi' : ''}`,
          )
          caller.socket.end()
          const isOver = await caller.until(() => caller.isOver, hangMs)
          const seen = parseReplies(caller.bytes, [one.method], true)
          const finals = seen.messages.filter((message) => message.status >= 200)
          // R31: the endpoint reads on behind its FIN, so a POST that met such a connection is not repeated
          const metHalfClosed = one.method === 'POST' && caller.text.includes('x-mesh-error: E_UPSTREAM_RESET')
          const problem = !isOver
            ? `no end after ${hangMs} ms`
            : (seen.problem ??
              (one.isIntact &&
              !metHalfClosed &&
              (finals.length !== 1 || finals[0]?.fields.some(([name]) => name === 'x-mesh-error'))
                ? 'an intact reply was refused'
                : undefined))
          caller.close()
          if (problem !== undefined)
            throw new Error(
              `seed ${seed}: ${problem}\nthe endpoint said: ${JSON.stringify(one.bytes.toString('latin1'))}\nthe caller got: ${JSON.stringify(caller.text)}`,
            )
          totals.replies += finals.length
        }
      }),
    )
    totals.forwarded += backend.requests.length
    backend.reset()
  }
  return totals
}

/** Most streams in one piece, some in up to six with short pauses between them. */
async function inPieces(bytes: Buffer, random: Random, send: (piece: Buffer) => void): Promise<void> {
  let at = 0
  if (random.chance(0.25)) {
    for (let pieces = 1 + random.below(5); pieces > 0; pieces--) {
      const to = at + random.below(Math.min(bytes.length - at, 200) + 1)
      send(bytes.subarray(at, to))
      at = to
      if (random.chance(0.5)) await new Promise((resolve) => setImmediate(resolve))
      else await new Promise((resolve) => setTimeout(resolve, random.below(4)))
    }
  }
  send(bytes.subarray(at))
}

async function endsSoon(connection: { readonly isEnded: boolean }): Promise<boolean> {
  const deadline = performance.now() + hangMs
  while (!connection.isEnded && performance.now() < deadline) await new Promise((resolve) => setImmediate(resolve))
  return connection.isEnded
}

async function sendOne(
  seed: number,
  { answersPerConnection, port }: RecordedMesh,
  stream: FuzzStream,
  random: Random,
): Promise<{ replies: number; fromBackend: number }> {
  const caller = await RawCaller.open(port)
  const fail = (what: string): never => {
    throw new Error(
      `seed ${seed}: ${what}\nsent: ${JSON.stringify(stream.bytes.toString('latin1'))}\ngot: ${JSON.stringify(caller.text)}`,
    )
  }
  try {
    await inPieces(stream.bytes, random, (piece) => caller.send(piece))
    caller.socket.end()
    if (!(await caller.until(() => caller.isOver, hangMs))) fail(`no end after ${hangMs} ms`)
    const methods = stream.isIntact ? stream.methods : Array.from({ length: 200 }, () => 'GET')
    const seen = parseReplies(caller.bytes, methods, true)
    if (seen.problem !== undefined) fail(`malformed replies: ${seen.problem}`)
    const finals = seen.messages.filter((message) => message.status >= 200)
    const wanted = Math.min(stream.messages, answersPerConnection)
    if (stream.isIntact && (finals.length !== wanted || finals.some((message) => message.status !== 200)))
      fail(`${finals.length} good replies for ${stream.messages} good requests, of which ${wanted} are answered`)
    return {
      replies: finals.length,
      fromBackend: finals.filter((message) => !message.fields.some(([name]) => name === 'x-mesh-error')).length,
    }
  } finally {
    caller.close()
  }
}
