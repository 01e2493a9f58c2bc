import { once } from 'node:events'
import { request } from 'node:http'
import { expect } from 'chai'
import { FilteredWorker } from '../../../../../support/user-filters.ts'
import type { FilterPlan } from '../../../../../support/user-filters.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'

/** Upper case, with what it counted behind it. */
const shouts: FilterPlan = {
  name: 'shouts',
  text: `export default () => ({
    onReplyHead(reply) {
      if (!reply.hasBody) return
      let count = 0
      reply.transformBody({
        chunk(bytes) { count += bytes.length; return Buffer.from(Buffer.from(bytes).toString('latin1').toUpperCase()) },
        end: () => Buffer.from('!' + count),
      })
    },
  })`,
}
const adds: FilterPlan = {
  name: 'adds',
  text: `export default () => ({ onReplyHead(r) { if (r.hasBody) r.transformBody({ chunk: (b) => b, end: () => Buffer.from('?') }) } })`,
}

describe('what filters of users do to content', () => {
  let worker: FilteredWorker

  afterEach(async () => {
    await worker.stop()
  })

  const failures = (kind: string): number => worker.started.metric('hostmesh_filter_failures_total', kind)

  for (const protocol of ['call', 'callHttp2'] as const) {
    describe(protocol === 'call' ? 'over HTTP/1.1' : 'over HTTP/2', () => {
      it('is done piece by piece, one filter behind the other, and nothing says the former length', async () => {
        worker = await FilteredWorker.start([shouts, adds])
        worker.backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
        const { body, headers } = await worker[protocol]()
        expect(body).to.equal('HELLO!5?')
        expect(headers).to.not.have.property('content-length')
        worker.backend.answer = () =>
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n'
        expect((await worker[protocol]()).body).to.equal('ABCDE!5?')
        worker.backend.answer = () => `HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n${'x'.repeat(500_000)}`
        const long = await worker[protocol]()
        expect(long.body).to.equal(`${'X'.repeat(500_000)}!500000?`)
      })

      it('is nothing where there is none', async () => {
        worker = await FilteredWorker.start([shouts])
        worker.backend.answer = () => 'HTTP/1.1 204 No Content\r\n\r\n'
        expect(await worker[protocol]()).to.include({ status: 204, body: '' })
        worker.backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'
        expect(await worker[protocol]({ method: 'HEAD' })).to.include({ status: 200, body: '' })
      })

      it('ends a reply whose caller must see that it is not whole, or gets 503 where nothing of it had gone', async () => {
        worker = await FilteredWorker.start([
          {
            name: 'breaks',
            maxFailures: 100,
            text: `export default () => ({ onReplyHead(r, q) { r.transformBody({ chunk(b) { if (q.path === '/chunk') throw new Error('bug'); return b }, end() { if (q.path === '/end') throw new Error('bug') ; if (q.path === '/word') return 'text' } }) } })`,
          },
        ])
        worker.backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
        for (const path of ['/chunk', '/end', '/word']) {
          const { headers, status } = await worker[protocol]({ path })
          expect([status, headers['x-mesh-error']], path).to.deep.equal([503, 'E_FILTER_FAILED'])
        }
        expect(failures('thrown')).to.equal(3)
        expect((await worker[protocol]({ path: '/good' })).body).to.equal('hello')
        await eventually(() => worker.started.metric('hostmesh_requests_in_flight') === 0)
      })

      it('may depend on that of the request, which goes on as it came', async () => {
        worker = await FilteredWorker.start([
          {
            name: 'json',
            text: `export default () => ({
              onRequestHead(request) { if (request.path === '/skip') return { status: 204 } },
              async onRequestBody(body, request) {
                if (body.length === 0) return
                await new Promise((resolve) => setImmediate(resolve))
                const { amount } = JSON.parse(Buffer.from(body).toString())
                if (amount > 100) return { status: 403, body: 'too much' }
                request.setHeader('x-amount', String(amount))
              },
            })`,
          },
        ])
        expect(await worker[protocol]({ body: '{"amount":7}' })).to.include({ status: 200 })
        expect(worker.lastHead()).to.include('x-amount: 7')
        expect(worker.backend.requests[0]!.body).to.equal('{"amount":7}')
        expect(await worker[protocol]({ body: '{"amount":700}' })).to.include({ status: 403, body: 'too much' })
        expect(await worker[protocol]({ body: 'nonsense' })).to.include({ status: 503 })
        expect(await worker[protocol]()).to.include({ status: 200 })
        expect(await worker[protocol]({ path: '/skip', body: '{"amount":7}' })).to.include({ status: 204 })
        expect(await worker[protocol]({ body: `{"amount":7}${' '.repeat(70_000)}` })).to.include({ status: 413 })
        expect(worker.backend.requests).to.have.length(2)
      })

      it('bounds requests: what is announced, and what comes without being announced', async () => {
        worker = await FilteredWorker.start([{ name: 'limit', builtin: 'bodyLimit', settings: { maxBytes: 10 } }])
        expect(await worker[protocol]({ body: 'x'.repeat(10) })).to.include({ status: 200 })
        const { headers, status } = await worker[protocol]({ body: 'x'.repeat(11) })
        expect([status, headers['x-mesh-error']]).to.deep.equal([413, 'E_HTTP_CONTENT_TOO_LARGE'])
        expect(worker.backend.requests).to.have.length(1)
      })
    })
  }

  it('bounds a request that goes on without end, though its application listens', async () => {
    worker = await FilteredWorker.start([{ name: 'limit', builtin: 'bodyLimit', settings: { maxBytes: 200_000 } }])
    const sent = request({
      port: worker.started.port('orders'),
      method: 'POST',
      headers: { host: 'orders', 'transfer-encoding': 'chunked' },
    })
    sent.on('error', () => {})
    const piece = Buffer.alloc(50_000, 'x')
    let isAnswered = false
    const more = (): void => {
      if (!isAnswered) sent.write(piece, () => setImmediate(more))
    }
    more()
    const [reply] = (await once(sent, 'response')) as [{ statusCode: number; resume(): void }]
    isAnswered = true
    expect(reply.statusCode).to.equal(413)
    reply.resume()
    sent.destroy()
    expect(worker.backend.requests, 'no whole request came').to.have.length(0)
  })
})
