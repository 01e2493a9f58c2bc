/**
 * Objects that every request uses have one hidden class each, whatever became of the requests before: the engine
 * compiles their code for it.
 */
import { expect } from 'chai'
import { once } from 'node:events'
import { connect } from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'
import type { RetrySpec } from '../../../../../contracts/route-spec.ts'
import { Spares } from '../../../../../agent/worker/transport/spares.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

/** Classes of which not all objects have one shape. */
function severalShapes(found: ReadonlyMap<Function, readonly object[]>): string[] {
  // the engine may throw compiled code away and read its text again, so the flag stays until all are compared
  setFlagsFromString('--allow-natives-syntax')
  try {
    const haveSameMap = runInThisContext('(a, b) => %HaveSameMap(a, b)') as (a: object, b: object) => boolean
    const several = [...found].filter(([, objects]) => objects.some((one) => !haveSameMap(one, objects[0]!)))
    return several.map(([{ name }]) => name)
  } finally {
    setFlagsFromString('--no-allow-natives-syntax')
  }
}

const retry: RetrySpec = { attempts: 2, perTryTimeoutMs: 0, on: ['5xx'], statuses: [], backoffMs: 1 }
const callers = 12
const fates = [
  'GET / HTTP/1.1\r\nHost: orders\r\n\r\n',
  'GET /chunked?a=b HTTP/1.1\r\nHost: orders\r\nCookie: a=b\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\n\r\nhello',
  'POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'HEAD / HTTP/1.1\r\nHost: orders\r\n\r\n',
  'GET /fails HTTP/1.1\r\nHost: orders\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: nobody\r\nX-Mesh-Service: refused\r\n\r\n',
]

/** Of these there are as many as requests at once. */
const hot = [
  'Exchange',
  'Routing',
  'Tries',
  'ClusterVisit',
  'Attempt',
  'OutgoingRequest',
  'RequestBody',
  'Http1DownstreamStream',
  'Http1UpstreamStream',
  'Http1Link',
  'Http1Request',
  'Http1Reply',
  'Head',
  'BodyReader',
  'Http2DownstreamStream',
  'Http2Request',
  'Flow',
  'Timer',
]

/** Objects of the same class, for all that hang on `from`. */
function reachable(from: object): Map<Function, object[]> {
  const found = new Map<Function, object[]>()
  const seen = new Set<object>()
  const left = [from]
  for (let one = left.pop(); one !== undefined; one = left.pop()) {
    if (seen.has(one) || ArrayBuffer.isView(one)) continue
    seen.add(one)
    found.set(one.constructor, [...(found.get(one.constructor) ?? []), one])
    for (const value of Object.values(one)) if (typeof value === 'object' && value !== null) left.push(value as object)
  }
  for (const plain of [Object, Array, Function]) found.delete(plain)
  return found
}

describe('objects that every request uses', function () {
  this.timeout(30_000)
  let backend: RecordingBackend
  let started: StartedWorker

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    backend.answer = ({ target }) =>
      target === '/fails'
        ? 'HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno'
        : target.startsWith('/chunked')
          ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'
          : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    started = await startWorker({
      services: [
        { name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }], route: { retry } },
        { name: 'refused', endpoints: [{ address: '127.0.0.1', port: 1 }] },
      ],
    })
  })
  afterEach(async () => {
    started.stop()
    await backend.close()
  })

  /** Each fate for all callers at once. */
  async function inHttp1(): Promise<void> {
    const all = await Promise.all(Array.from({ length: callers }, () => RawCaller.open(started.port('shared'))))
    for (const fate of fates) {
      for (const caller of all) {
        caller.bytes = Buffer.alloc(0)
        caller.send(fate)
      }
      await Promise.all(all.map((caller) => caller.expect(/^HTTP[^]*\r\n\r\n/)))
    }
    for (const caller of all) caller.close()
  }

  async function inHttp2(session: ClientHttp2Session): Promise<void> {
    for (const [method, path, content] of [
      ['GET', '/chunked'],
      ['GET', '/fails'],
      ['POST', '/', 'hello'],
    ] as const) {
      const streams = Array.from({ length: callers }, () => session.request({ ':method': method, ':path': path }))
      for (const stream of streams) stream.resume().end(content)
      await Promise.all(streams.map((stream) => once(stream, 'close')))
    }
  }

  it('have one shape each', async () => {
    const session = connect(`http://127.0.0.1:${started.port('orders')}`)
    try {
      for (let round = 0; round < 3; round++) {
        await inHttp1()
        await inHttp2(session)
      }
      // Used ones beside one that has seen nothing yet
      const stores = (reachable(started.worker).get(Spares) ?? []) as Spares<object>[]
      const found = reachable([started.worker, stores.map((store) => store['make'](store))])
      expect(severalShapes(found)).to.deep.equal([])
      const many = [...found].filter(([, objects]) => objects.length >= callers).map(([{ name }]) => name)
      expect(many).to.include.members(hot)
    } finally {
      session.destroy()
    }
  })
})
