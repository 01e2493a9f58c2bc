import { expect } from 'chai'

import { HeadWriter } from '../../../http1/head-writer.ts'
import { ReplyFraming } from '../../../http1/types.ts'
import type { RequestPlan } from '../../../http1/types.ts'
import {
  bytes,
  forwardedReply,
  forwardedRequest,
  get,
  ok,
  replyHead,
  requestHead,
} from '../../support/http1/codec-words.ts'
import { headerEdits, replyPlan, requestPlan } from '../../support/http1/plans.ts'

describe('head writer', () => {
  it('passes an unchanged head byte for byte and adds only Via', () => {
    const fields = 'User-Agent:wrk\r\nAccept:  */*  \r\nContent-Length: 3\r\n'
    expect(forwardedRequest(`POST /a HTTP/1.1\r\nHost: a\r\n${fields}\r\n`)).to.equal(
      `POST /a HTTP/1.1\r\nHost: a\r\n${fields}Via: 1.1 mesh\r\n\r\n`,
    )
    expect(forwardedReply(ok(fields))).to.equal(`HTTP/1.1 200 OK\r\n${fields}Via: 1.1 mesh\r\n\r\n`)
  })

  it('applies edits of the route, then of the destination, then lines of our own', () => {
    const plan = {
      routeEdits: headerEdits([['x-a', '1']], 'x-old', 'cookie'),
      destinationEdits: headerEdits([['x-b', '2']], 'x-mid'),
      extra: bytes('x-c: 3\r\nnot this'),
      extraLength: 8,
    }
    const fields = 'X-Old: 1\r\nX-Keep: 1\r\nX-MID: 1\r\nCookie: a\r\nX-Older: 1\r\n'
    const kept = 'X-Keep: 1\r\nX-Older: 1\r\nVia: 1.1 mesh\r\nx-a: 1\r\nx-b: 2\r\nx-c: 3\r\n\r\n'
    expect(forwardedRequest(get(fields), plan)).to.equal(`GET / HTTP/1.1\r\nHost: a\r\n${kept}`)
    const filtered = {
      ...plan,
      cookieEdits: headerEdits([['set-cookie', 'k=v']]),
      filterEdits: [headerEdits([], 'x-f'), headerEdits([['x-g', '4']], 'x-h')],
    }
    expect(forwardedReply(ok(`${fields}X-F: 1\r\nX-H: 1\r\n`), filtered)).to.equal(
      `HTTP/1.1 200 OK\r\n${kept.replace('x-c', 'set-cookie: k=v\r\nx-g: 4\r\nx-c')}`,
    )
  })

  it('forgets the edits of one head before the next', () => {
    const writer = new HeadWriter('mesh')
    const head = requestHead(get('X-Old: 1\r\n'))
    const out = Buffer.alloc(1024)
    const written = (changes: Partial<RequestPlan>): string =>
      out.toString('latin1', 0, writer.request(out, 0, head, requestPlan(changes)))
    const edited = written({ routeEdits: headerEdits([['x-a', '1']], 'x-old') })
    expect([edited.includes('X-Old'), edited.includes('x-a')]).to.deep.equal([false, true])
    const plain = written({})
    expect([plain.includes('X-Old'), plain.includes('x-a')]).to.deep.equal([true, false])
  })

  it('never drops a field that frames or addresses the message', () => {
    const edits = headerEdits([], 'host', 'content-length', 'transfer-encoding')
    expect(forwardedRequest('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n', { routeEdits: edits })).to.equal(
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nVia: 1.1 mesh\r\n\r\n',
    )
    expect(forwardedReply(ok('Transfer-Encoding: chunked\r\n'), { routeEdits: edits })).to.contain(
      'Transfer-Encoding: chunked',
    )
  })

  it('announces no length of content that is framed anew', () => {
    const head = ok('A: 1\r\nContent-Length: 3\r\nB: 2\r\n')
    expect(forwardedReply(head, { framing: ReplyFraming.chunked })).to.equal(
      'HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nTransfer-Encoding: chunked\r\nVia: 1.1 mesh\r\n\r\n',
    )
    expect(forwardedReply(head, { framing: ReplyFraming.untilClose, closes: true })).to.equal(
      'HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nConnection: close\r\nVia: 1.1 mesh\r\n\r\n',
    )
  })

  it('writes another target and another authority where asked', () => {
    expect(
      forwardedRequest(get('A: b\r\n', 'http://c/d?e'), { target: bytes('/x?y'), authority: bytes('orders:80') }),
    ).to.equal('GET /x?y HTTP/1.1\r\nHost: orders:80\r\nA: b\r\nVia: 1.1 mesh\r\n\r\n')
  })

  it('writes connection options as asked', () => {
    expect(
      forwardedRequest(get('TE: trailers\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'), { upgrades: true }),
    ).to.contain('\r\nConnection: Upgrade, TE\r\nUpgrade: websocket\r\nTE: trailers\r\n')
    expect(forwardedReply(ok('Connection: keep-alive\r\n'), { closes: true })).to.contain('\r\nConnection: close\r\n')
  })

  it('replaces the tier of another agent with ours, keeps its error, and believes no application', () => {
    const reply = ok('x-mesh-tier: center\r\nx-mesh-error: E_CONNECT_REFUSED\r\nContent-Length: 0\r\n')
    const extra = bytes('x-mesh-tier: agent\r\n')
    expect(forwardedReply(reply, { extra, extraLength: extra.length, dropsError: false })).to.equal(
      'HTTP/1.1 200 OK\r\nx-mesh-error: E_CONNECT_REFUSED\r\nContent-Length: 0\r\nVia: 1.1 mesh\r\nx-mesh-tier: agent\r\n\r\n',
    )
    expect(forwardedReply(reply, { dropsTier: false })).to.contain('x-mesh-tier: center')
    expect(forwardedReply(reply, { dropsError: true })).to.equal(
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 mesh\r\n\r\n',
    )
  })

  it('completes a status line without a reason', () => {
    expect(forwardedReply('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n')).to.match(/^HTTP\/1\.1 200 \r\nContent-Length/)
    expect(forwardedReply('HTTP/1.0 404 Not  Found\r\nContent-Length: 0\r\n\r\n')).to.match(
      /^HTTP\/1\.1 404 Not  Found\r\n/,
    )
    expect(forwardedReply('HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n')).to.match(/^HTTP\/1\.1 200 \r\n/)
  })

  it('writes nothing into a buffer that might be too small, and says how much it needs', () => {
    const writer = new HeadWriter('mesh')
    const head = requestHead(get(`A: ${'b'.repeat(500)}\r\n`))
    const plan = requestPlan({ target: bytes('/long'), routeEdits: headerEdits([['x', 'y'.repeat(300)]]) })
    const room = writer.roomFor(head, plan)
    const tooSmall = Buffer.alloc(room - 1)
    expect(writer.request(tooSmall, 0, head, plan)).to.equal(-1)
    expect(tooSmall.every((byte) => byte === 0)).to.equal(true)
    expect(writer.request(Buffer.alloc(room), 0, head, plan)).to.be.greaterThan(800)
    const reply = replyHead(ok('A: b\r\n'))
    expect(writer.reply(Buffer.alloc(20), 0, reply, replyPlan())).to.equal(-1)
    expect(writer.reply(Buffer.alloc(writer.roomFor(reply, replyPlan())), 0, reply, replyPlan())).to.be.greaterThan(0)
  })

  it('refuses a name for Via that is no token', () => {
    expect(() => new HeadWriter('a b\r\n')).to.throw('not a token')
  })
})
