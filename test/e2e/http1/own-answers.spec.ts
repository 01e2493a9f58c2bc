/** R32: what a caller sends never breaks the head of an answer that the mesh makes. */
import { expect } from 'chai'

import { exchange } from '../../support/http1/raw-caller.ts'
import { parseReplies } from '../../support/http1/strict-parser.ts'
import type { StrictMessage } from '../../support/http1/strict-parser.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

describe('answers of the mesh itself', () => {
  let worker: StartedWorker

  before(async () => {
    worker = await startWorker({
      services: [
        {
          name: 'moved',
          endpoints: [],
          route: { action: { kind: 'redirect', status: 308, authority: 'new.example' } },
        },
        { name: 'empty', endpoints: [] },
      ],
      limits: { parkTimeoutMs: 50 },
    })
  })

  after(() => worker.stop())

  async function answer(port: number, head: string): Promise<StrictMessage> {
    const text = await exchange(port, `${head}Connection: close\r\n\r\n`)
    const seen = parseReplies(Buffer.from(text, 'latin1'), ['GET'], true)
    expect([seen.problem, seen.isCut], text).to.deep.equal([undefined, false])
    expect(seen.messages.length, text).to.equal(1)
    return seen.messages[0] as StrictMessage
  }
  const value = (message: StrictMessage, name: string) => message.fields.find(([found]) => found === name)?.[1]

  it('R32 a redirect carries the path as it was sent, and no line of its own', async () => {
    for (const path of ['/%0d%0aSet-Cookie:%20a=1', '/"<>\\^`{|}', '/?a=%00', '//evil.example/..']) {
      const redirect = await answer(worker.port('moved'), `GET ${path} HTTP/1.1\r\nHost: a\r\n`)
      expect([redirect.status, value(redirect, 'location')]).to.deep.equal([308, `http://new.example${path}`])
      expect(value(redirect, 'set-cookie')).to.equal(undefined)
    }
  })

  it('R32 a name that nobody knows comes back in the body only', async () => {
    // what no service can be called is not unknown but not allowed
    const notAllowed = [400, 'E_ROUTE_NAME_NOT_ALLOWED'] as const
    const cases = [
      ['no-such', 503, 'E_ROUTE_UNKNOWN_SERVICE'],
      ...['\xe9\xff"<b>', 'a: b', "';--", 'x'.repeat(2000)].map((name) => [name, ...notAllowed] as const),
    ] as const
    for (const [name, status, code] of cases) {
      const refusal = await answer(worker.port('shared'), `GET / HTTP/1.1\r\nHost: a\r\nX-Mesh-Service: ${name}\r\n`)
      expect([refusal.status, value(refusal, 'x-mesh-error')]).to.deep.equal([status, code])
      expect(value(refusal, 'content-type')).to.equal('text/plain')
      for (const [, text] of refusal.fields) expect(text).to.not.contain(name)
    }
  })

  it('a service without endpoints is 503 with its code, tier and length, also to HEAD and HTTP/1.0', async () => {
    const port = worker.port('empty')
    const refusal = await answer(port, 'GET / HTTP/1.1\r\nHost: a\r\n')
    expect([refusal.status, value(refusal, 'x-mesh-error'), value(refusal, 'x-mesh-tier')]).to.deep.equal([
      503,
      'E_BALANCE_NO_ENDPOINT',
      'agent',
    ])
    expect(refusal.body.length).to.be.greaterThan(10)
    const head = await exchange(port, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(parseReplies(Buffer.from(head, 'latin1'), ['HEAD'], true)).to.include({ problem: undefined, isCut: false })
    expect(head)
      .to.match(/Content-Length: [1-9]\d*\r\n/)
      .and.match(/\r\n\r\n$/)
    expect((await answer(port, 'GET / HTTP/1.0\r\n')).status).to.equal(503)
  })
})
