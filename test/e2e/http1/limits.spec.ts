/** Every limit of HTTP/1.1 (R34, R35), run into through a worker: what happens, and its metric. */
import { expect } from 'chai'

import { RawCaller } from '../../support/http1/raw-caller.ts'
import type { RecordingBackend } from '../../support/http1/recording-backend.ts'
import { dirtyForward } from '../../support/http1/recording-backend.ts'
import { meshKinds, startRecordedMesh } from '../../support/http1/recorded-mesh.ts'
import type { RecordedMesh } from '../../support/http1/recorded-mesh.ts'
import { goBeforeOthers } from '../../support/priority.ts'

const limits = {
  maxRequestLineBytes: 300,
  maxHeadBytes: 1000,
  maxFields: 10,
  maxChunkLineBytes: 30,
  maxChunkExtensionBytes: 60,
  maxInterimReplies: 2,
  maxPipelined: 3,
  maxDrainBytes: 5000,
  drainTimeoutMs: 250,
  headTimeoutMs: 300,
  keepAliveTimeoutMs: 400,
  bodyIdleTimeoutMs: 300,
  requestTimeoutMs: 2000,
  maxConnections: 40,
}

const get = (fields = '', target = '/') => `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const post = (fields: string, body = '') => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`
const chunked = 'Transfer-Encoding: chunked\r\n'
const filler = (length: number) => 'x'.repeat(length)

for (const kind of meshKinds)
  describe(`HTTP/1.1 limits through a worker, ${kind}`, () => {
    let mesh: RecordedMesh
    let backend: RecordingBackend
    const callers: RawCaller[] = []
    let goAsOthers: () => void

    before(async function () {
      this.timeout(120_000)
      // whoever is answered in time must not run into a limit of a third of a second before
      goAsOthers = goBeforeOthers()
      mesh = await startRecordedMesh(kind, limits)
      backend = mesh.backend
    })

    beforeEach(() => backend.reset())

    afterEach(async () => {
      for (const caller of callers.splice(0)) caller.close()
      await until(() => backend.connections.every((connection) => dirtyForward(connection) === undefined))
    })

    after(async () => {
      await mesh.close()
      goAsOthers()
    })

    async function until(condition: () => boolean): Promise<void> {
      const deadline = performance.now() + 20_000
      while (!condition()) {
        if (performance.now() > deadline) throw new Error(`not in time: ${condition.toString()}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }

    async function caller(first = ''): Promise<RawCaller> {
      const opened = await RawCaller.open(mesh.port)
      callers.push(opened)
      if (first !== '') opened.send(first)
      return opened
    }

    /** Runs `act` and waits for the metric to grow. */
    async function counted(metric: string, act: () => Promise<void>): Promise<void> {
      const before = (await mesh.metric(metric)) ?? Number.NaN
      expect(before, metric).to.be.at.least(0)
      await act()
      const deadline = performance.now() + 20_000
      let now = before
      while (now <= before && performance.now() < deadline) {
        await new Promise((resolve) => setImmediate(resolve))
        now = (await mesh.metric(metric)) ?? Number.NaN
      }
      expect(now, metric).to.be.greaterThan(before)
    }

    async function refused(status: number, text: string): Promise<void> {
      const one = await caller(text)
      await one.closed()
      expect(one.text).to.match(new RegExp(`^HTTP/1\\.1 ${status} `))
      expect(backend.requests).to.deep.equal([])
    }

    it('a request line beyond maxRequestLineBytes is 414', async () => {
      await counted('hostmesh_request_line_limit_total', () => refused(414, get('', `/${filler(300)}`)))
    })

    it('a head beyond maxHeadBytes is 431, without an end too', async () => {
      await counted('hostmesh_head_bytes_limit_total', () => refused(431, get(`A: ${filler(1000)}\r\n`)))
      await counted('hostmesh_head_bytes_limit_total', () => refused(431, `GET / HTTP/1.1\r\nA: ${filler(2000)}`))
    })

    it('a reply head beyond maxHeadBytes or maxFields is 502', async () => {
      backend.answer = () => `HTTP/1.1 200 OK\r\nA: ${filler(1000)}\r\n\r\n`
      await counted('hostmesh_head_bytes_limit_total', async () => {
        await (await caller(get())).expect(/^HTTP\/1\.1 502 /)
      })
      backend.answer = () => `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(11)}\r\n`
      await counted('hostmesh_head_fields_limit_total', async () => {
        await (await caller(get())).expect(/^HTTP\/1\.1 502 /)
      })
    })

    it('more than maxFields fields are 431', async () => {
      await counted('hostmesh_head_fields_limit_total', () => refused(431, get('A: b\r\n'.repeat(10))))
    })

    it('a chunk line beyond maxChunkLineBytes is 400', async () => {
      await counted('hostmesh_chunk_line_limit_total', () =>
        refused(400, post(chunked, `1;${filler(30)}\r\na\r\n0\r\n\r\n`)),
      )
    })

    it('chunk extensions beyond maxChunkExtensionBytes are 400', async () => {
      await counted('hostmesh_chunk_extension_limit_total', () =>
        refused(400, post(chunked, `1;${filler(20)}\r\na\r\n`.repeat(4))),
      )
    })

    it('trailers beyond maxHeadBytes or maxFields are 400', async () => {
      await counted('hostmesh_trailer_limit_total', () =>
        refused(400, post(chunked, `0\r\nA: ${filler(1000)}\r\n\r\n`)),
      )
      await counted('hostmesh_trailer_limit_total', () =>
        refused(400, post(chunked, `0\r\n${'A: b\r\n'.repeat(11)}\r\n`)),
      )
    })

    it('more than maxInterimReplies are 502', async () => {
      backend.answer = () =>
        'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(3) + 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
      await counted('hostmesh_interim_replies_limit_total', async () => {
        await (await caller(get())).expect('HTTP/1.1 502 ')
      })
    })

    it('more than maxPipelined requests that are answered at once give way, and are all answered in order', async () => {
      const options = (index: number) => `OPTIONS /${index} HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n`
      await counted('hostmesh_pipelined_limit_total', async () => {
        const one = await caller(Array.from({ length: 20 }, (_, i) => options(i)).join('') + get('', '/last'))
        await one.expect(/\r\n\r\nok$/)
        expect(one.text.split('HTTP/1.1 200 ').length - 1).to.equal(21)
      })
    })

    it('an unwanted rest is read up to maxDrainBytes, then the connection closes', async () => {
      await counted('hostmesh_drain_bytes_limit_total', async () => {
        const one = await caller('BAD\r\n\r\n')
        await one.expect('HTTP/1.1 400 ')
        one.send(filler(20_000))
      })
    })

    it('an unwanted rest is waited for up to drainTimeoutMs', async () => {
      await counted('hostmesh_drain_timeouts_total', async () => {
        const one = await caller('BAD\r\n\r\n')
        await one.closed()
      })
    })

    it('a head that is not complete within headTimeoutMs is 408, however it drips', async () => {
      await counted('hostmesh_request_head_timeouts_total', async () => {
        const one = await caller('GET / HTTP/1.1\r\n')
        const drip = setInterval(() => one.send('A: b\r\n'), 100)
        try {
          const startedAt = performance.now()
          await one.expect('HTTP/1.1 408 ')
          expect(performance.now() - startedAt).to.be.within(200, 19_000)
          await one.closed()
        } finally {
          clearInterval(drip)
        }
      })
    })

    it('a connection without a request closes after keepAliveTimeoutMs, at the beginning and after a reply', async () => {
      await counted('hostmesh_keep_alive_timeouts_total', async () => {
        const fresh = await caller()
        const used = await caller(get())
        await used.expect(/ok$/)
        await Promise.all([fresh.closed(), used.closed()])
        expect([fresh.text, used.text.endsWith('ok')]).to.deep.equal(['', true])
      })
    })

    it('a request body that pauses longer than bodyIdleTimeoutMs is 408 and cuts the connection to the endpoint', async () => {
      await counted('hostmesh_request_body_timeouts_total', async () => {
        const one = await caller(post('Content-Length: 10\r\n', 'half'))
        await one.expect('HTTP/1.1 408 ')
        await one.closed()
      })
    })

    it('a reply body that pauses longer than bodyIdleTimeoutMs is cut short', async () => {
      backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'
      await counted('hostmesh_reply_body_timeouts_total', async () => {
        const one = await caller(get())
        await one.closed()
        expect(one.text.endsWith('half')).to.equal(true)
      })
    })

    it('a caller that does not read its reply for bodyIdleTimeoutMs is reset', async () => {
      const large = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n${filler(30_000_000)}`)
      backend.answer = () => large
      await counted('hostmesh_stalled_callers_total', async () => {
        const one = await caller(get())
        one.socket.pause()
        await until(
          () => backend.connections.length > 0 && backend.connections.every((connection) => connection.isEnded),
        )
        one.socket.resume()
        await one.until(() => one.isClosed)
        expect(one.bytes.length).to.be.lessThan(large.length)
      })
    })

    it('a request without a reply head within requestTimeoutMs is 504', async () => {
      backend.answer = () => undefined
      await counted('hostmesh_request_timeouts_total', async () => {
        await (await caller(get())).expect('HTTP/1.1 504 ')
      })
    })

    it('a request that drips longer than requestTimeoutMs is 408', async () => {
      await counted('hostmesh_request_timeouts_total', async () => {
        const one = await caller(post('Content-Length: 1000\r\n', 'a'))
        const drip = setInterval(() => one.send('a'), 100)
        try {
          await one.expect('HTTP/1.1 408 ')
        } finally {
          clearInterval(drip)
        }
      })
    })

    it('whoever holds all connections without a request keeps nobody out: one that rests gives its place', async () => {
      await counted('hostmesh_connections_yielded_total', async () => {
        for (let round = 0; round < 3; round++) {
          await Promise.all(Array.from({ length: 45 }, () => caller()))
          await (await caller(get())).expect(/ok$/)
        }
      })
    })
  })
