/**
 * The numbered rules of docs/http1.md, as far as the codec alone decides them. Rules about forwarding are in
 * test/e2e/http1.
 */
import { trailerFields } from '../../../http1/trailers.ts'
import { expect } from 'chai'

import { Fault, httpFault } from '../../../http1/fault.ts'
import { BodyKind, Method, ReplyFraming, TargetForm } from '../../../http1/types.ts'
import { isFieldValue, isToken } from '../../../http1/field-text.ts'
import { defaultLimits } from '../../../contracts/snapshot.ts'
import { forwardBody, readStream } from '../../support/http1/codec-driver.ts'
import {
  bytes,
  forwardedReply,
  forwardedRequest,
  get,
  ok,
  replyHead,
  replyResult,
  requestHead,
  requestResult,
} from '../../support/http1/codec-words.ts'

function refuses(fault: Fault, ...texts: string[]): void {
  for (const text of texts) expect(requestResult(text), JSON.stringify(text)).to.equal(fault)
}

function takes(...texts: string[]): void {
  for (const text of texts) expect(requestResult(text), JSON.stringify(text)).to.equal(text.length)
}

function refusesReply(fault: Fault, ...texts: string[]): void {
  for (const text of texts) expect(replyResult(text), JSON.stringify(text)).to.equal(fault)
}

const line = (requestLine: string) => `${requestLine}\r\nHost: a\r\n\r\n`
const post = (fields: string) => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const chunkedFault = (body: string) => forwardBody(bytes(body), BodyKind.chunked, 0).fault
const forwardChunks = (body: string) => forwardBody(bytes(body), BodyKind.chunked, 0).out

describe('HTTP/1.1 rules', () => {
  it('R1 a request line is three parts with single spaces', () => {
    takes(line('GET / HTTP/1.1'), line('PROPFIND / HTTP/1.1'), line('get / HTTP/1.1'))
    refuses(
      Fault.startLine,
      line('GET  / HTTP/1.1'),
      line(' GET / HTTP/1.1'),
      line('GET\t/ HTTP/1.1'),
      line('GET / HTTP/1.1 '),
      line('GET /'),
      line('G@T / HTTP/1.1'),
      line(`${'A'.repeat(33)} / HTTP/1.1`),
    )
    refuses(Fault.target, line('GET \t/ HTTP/1.1'), line('GET /\t HTTP/1.1'))
    refuses(Fault.version, line('GET /  HTTP/1.1'), line('GET / a HTTP/1.1'))
    refuses(Fault.lineEnd, line('GET'))
    expect(requestResult(line('GET HTTP/1.1'))).to.be.lessThan(0)
  })

  it('R2 a version is exactly HTTP/1.x; a higher minor counts as 1.1', () => {
    refuses(
      Fault.version,
      line('GET / http/1.1'),
      line('GET / HTTP/1'),
      line('GET / HTTP/1.'),
      line('GET / HTTP/01.1'),
      line('GET / HTTP/2.0'),
      line('GET / HTTP/0.9'),
      line('GET / HTTP/ 1.1'),
    )
    refuses(Fault.startLine, line('GET / HTTP/1.11'))
    refuses(Fault.versionUnsupported, line('GET / HTTP/3.0'), line('GET / HTTP/9.9'))
    expect(httpFault(Fault.versionUnsupported).status).to.equal(505)
    expect(requestHead(line('GET / HTTP/1.0')).minor).to.equal(0)
    expect(requestHead(line('GET / HTTP/1.7')).minor).to.equal(1)
    expect(forwardedRequest(line('GET / HTTP/1.7'))).to.match(/^GET \/ HTTP\/1\.1\r\n/)
    refusesReply(Fault.version, 'HTTP/2.0 200 OK\r\n\r\n', 'http/1.1 200 OK\r\n\r\n', 'HTTP/1.1\r\n\r\n')
    refusesReply(
      Fault.status,
      'HTTP/1.1 20 OK\r\n\r\n',
      'HTTP/1.1 2000 OK\r\n\r\n',
      'HTTP/1.1 099 OK\r\n\r\n',
      'HTTP/1.1 700 OK\r\n\r\n',
    )
  })

  it('R3 a target is visible ASCII without a fragment, up to the limit of the request line', () => {
    refuses(Fault.target, line('GET /a#b HTTP/1.1'), line('GET /\u00e9 HTTP/1.1'), line('GET /\0 HTTP/1.1'))
    refuses(Fault.target, line('GET /?\x7f HTTP/1.1'), line('GET /?a#b HTTP/1.1'))
    takes(line('GET /"<>\\^`{|}?a?b HTTP/1.1'), line(`GET /${'a'.repeat(8000)} HTTP/1.1`))
    const fits = `GET /${'a'.repeat(defaultLimits.maxRequestLineBytes - 14)} HTTP/1.1`
    expect(fits.length).to.equal(defaultLimits.maxRequestLineBytes)
    takes(line(fits))
    refuses(Fault.requestLineTooLong, line(fits.replace('/a', '/aa')), `GET /${'a'.repeat(100_000)}`)
    expect(httpFault(Fault.requestLineTooLong).status).to.equal(414)
  })

  it('R4 the form of the target fits the method; an absolute-form replaces Host', () => {
    expect(requestHead(line('GET /a?b HTTP/1.1')).targetForm).to.equal(TargetForm.origin)
    expect(requestHead(line('OPTIONS * HTTP/1.1')).targetForm).to.equal(TargetForm.asterisk)
    refuses(Fault.targetForm, line('GET * HTTP/1.1'), line('GET a HTTP/1.1'), line('GET ftp://a/ HTTP/1.1'))
    refuses(Fault.targetForm, line('GET a:80 HTTP/1.1'), line('CONNECT /a HTTP/1.1'), line('OPTIONS ** HTTP/1.1'))
    const head = requestHead(line('GET http://B.example:81/x?y HTTP/1.1'))
    expect([head.authority, head.path, head.query]).to.deep.equal(['b.example:81', '/x', 'y'])
    expect(forwardedRequest(line('GET http://B.example:81/x?y HTTP/1.1'))).to.equal(
      'GET /x?y HTTP/1.1\r\nHost: B.example:81\r\nVia: 1.1 mesh\r\n\r\n',
    )
    expect(forwardedRequest(line('GET http://b?y HTTP/1.1'))).to.match(/^GET \/\?y HTTP\/1\.1\r\nHost: b\r\n/)
    expect(forwardedRequest(line('OPTIONS http://b HTTP/1.1'))).to.match(/^OPTIONS \* HTTP\/1\.1\r\nHost: b\r\n/)
    expect(forwardedRequest(line('GET https://b HTTP/1.1'))).to.match(/^GET \/ HTTP\/1\.1\r\nHost: b\r\n/)
    refuses(Fault.host, line('GET http:///x HTTP/1.1'), line('GET http://u@b/ HTTP/1.1'))
  })

  it('R5 exactly one Host, a bare host with an optional port', () => {
    refuses(Fault.hostMissing, 'GET / HTTP/1.1\r\n\r\n')
    refuses(Fault.hostDuplicate, get('Host: a\r\n'), get('hOST: b\r\n'))
    const host = (value: string) => `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`
    takes(host('a'), host('a-b_c.d:80'), host('127.0.0.1:1'), host('[::1]:8080'), host('a:'), host('%41'))
    for (const bad of [
      '',
      'u@a',
      'a/b',
      'a,b',
      'a b',
      'a:b',
      'a:65536',
      '[::1',
      '[]',
      '::1',
      'a?b',
      '%4',
      'a:1:2',
      ':80',
    ])
      refuses(Fault.host, host(bad))
    expect(requestHead('GET / HTTP/1.0\r\n\r\n').authority).to.equal('')
    refuses(Fault.hostDuplicate, 'GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n')
  })

  it('R6 one empty line before a request is ignored, no more', () => {
    const head = requestHead(`\r\n${get()}`)
    expect([head.method, head.start]).to.deep.equal(['GET', 2])
    refuses(Fault.emptyLines, `\r\n\r\n${get()}`)
    refuses(Fault.lineFolding, 'GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n')
    refuses(Fault.startLine, ' \r\n\r\n')
  })

  it('R7 lines end in CRLF; a bare CR or LF is refused', () => {
    refuses(
      Fault.lineEnd,
      'GET / HTTP/1.1\nHost: a\r\n\r\n',
      'GET / HTTP/1.1\rHost: a\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: a\n\r\n',
      'GET / HTTP/1.1\r\nHost: a\r\n\n',
      'GET / HTTP/1.1\r\nHost: a\r\n\rx',
      get('A: b\rc\r\n'),
      get('A: b\nc: d\r\n'),
      '\rGET / HTTP/1.1\r\n',
    )
    refusesReply(Fault.lineEnd, 'HTTP/1.1 200 OK\nA: b\r\n\r\n', ok('A: b\n'), ok('A: b\rc\r\n'))
    expect(chunkedFault('5\nhello\r\n0\r\n\r\n')).to.equal(Fault.chunkSize)
  })

  it('R8 names are tokens, values hold no control character but HTAB', () => {
    refuses(
      Fault.fieldName,
      get(': a\r\n'),
      get('A[: b\r\n'),
      get('A\0: b\r\n'),
      get('\u00c4: b\r\n'),
      get('"a": b\r\n'),
    )
    refuses(Fault.lineEnd, get('NoColon\r\n'))
    for (const byte of [0, 1, 7, 8, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f])
      refuses(Fault.fieldValue, get(`A: b${String.fromCharCode(byte)}c\r\n`))
    takes(get('A: b\tc \u00e9\u00ff"\r\n'), get('A:\r\n'), get('A:  \t \r\n'), get("!#$%&'*+-.^_`|~09aZ: x\r\n"))
    const head = requestHead(get('A: \t b c \t \r\n'))
    expect([head.nameOf(1), head.valueOf(1)]).to.deep.equal(['A', 'b c'])
  })

  it('R9 whitespace before a colon is refused in requests, taken out of replies', () => {
    refuses(Fault.spaceBeforeColon, get('A : b\r\n'), get('A\t: b\r\n'), get('Transfer-Encoding : chunked\r\n'))
    expect(forwardedReply(ok('A : b\r\nC: d\r\nContent-Length \t: 0\r\nE  :f\r\n'))).to.equal(
      'HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nContent-Length: 0\r\nE: f\r\nVia: 1.1 mesh\r\n\r\n',
    )
    refusesReply(Fault.fieldName, ok('A b: c\r\n'))
  })

  it('R10 folded lines are refused', () => {
    refuses(Fault.lineFolding, get('A: b\r\n c\r\n'), get('A: b\r\n\tc\r\n'))
    expect(requestResult(get('Transfer-Encoding:\r\n chunked\r\n'))).to.be.lessThan(0)
    refusesReply(Fault.lineFolding, ok('A: b\r\n c\r\n'))
  })

  it('R11 Content-Length together with Transfer-Encoding is refused', () => {
    const both = 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'
    refuses(Fault.lengthAndCoding, post(both), post('Transfer-Encoding: chunked\r\nContent-Length: 0\r\n'))
    refusesReply(Fault.lengthAndCoding, ok(both))
  })

  it('R12 Content-Length is one line of digits within 2^53-1', () => {
    for (const bad of [
      '+5',
      '-0',
      '-1',
      '0x5',
      '5 5',
      '1_0',
      '',
      '5,5',
      '5, 10',
      'abc',
      '1.0',
      '9007199254740992',
      '9'.repeat(400),
    ])
      refuses(Fault.contentLength, post(`Content-Length: ${bad}\r\n`))
    refuses(Fault.contentLength, post('Content-Length: 5\r\nContent-Length: 5\r\n'))
    expect(requestHead(post('Content-Length: 9007199254740991\r\n')).contentLength).to.equal(Number.MAX_SAFE_INTEGER)
    const head = requestHead(post('Content-Length:\t0005 \r\n'))
    expect([head.contentLength, head.body]).to.deep.equal([5, BodyKind.length])
    expect(forwardedRequest(post('Content-Length: 0005\r\n'))).to.contain('\r\nContent-Length: 5\r\n')
    expect(requestHead(post('Content-Length: 0\r\n')).body).to.equal(BodyKind.none)
    refusesReply(Fault.contentLength, ok('Content-Length: a\r\n'), ok('Content-Length: 1\r\nContent-Length: 2\r\n'))
  })

  it('R13 Transfer-Encoding is one line with the value chunked', () => {
    for (const bad of [
      'gzip',
      'unheard, chunked',
      'chunked, gzip',
      'identity',
      'xchunked',
      ',chunked',
      'chunked,',
      'chunked,chunked',
      'chunked;p',
      '',
      '"chunked"',
    ])
      refuses(Fault.transferCoding, post(`Transfer-Encoding: ${bad}\r\n`))
    for (const unknown of ['gzip, chunked', 'Deflate,chunked', 'x-gzip, Chunked'])
      refuses(Fault.codingUnknown, post(`Transfer-Encoding: ${unknown}\r\n`))
    for (const bad of ['\x0bchunked', '\fchunked', 'chunked\0'])
      refuses(Fault.fieldValue, post(`Transfer-Encoding: ${bad}\r\n`))
    refuses(Fault.transferCoding, post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'))
    refuses(Fault.codingInOldVersion, 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n')
    expect(requestHead(post('Transfer-Encoding: Chunked\r\n')).body).to.equal(BodyKind.chunked)
    refusesReply(Fault.codingUnknown, ok('Transfer-Encoding: gzip, chunked\r\n'))
    refusesReply(Fault.codingInOldVersion, 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  })

  it('R14 chunk sizes are plain hexadecimal, lines end in CRLF', () => {
    for (const bad of ['0x5', '+5', '-1', '1_0', ' 5', '5 ', '', 'g', '5\t', '00000000000000005', 'FFFFFFFFFFFFFFFF'])
      expect(chunkedFault(`${bad}\r\nhello\r\n0\r\n\r\n`), bad).to.equal(Fault.chunkSize)
    expect(chunkedFault('5\rhello\r\n0\r\n\r\n')).to.equal(Fault.chunkSize)
    for (const bad of [
      '5\r\nhello0\r\n\r\n',
      '5\r\nhello!!\r\n0\r\n\r\n',
      '5\r\nhello\n0\r\n\r\n',
      '5\r\nhello\rx',
      '0\r\n\rx',
    ])
      expect(chunkedFault(bad), bad).to.equal(Fault.chunkEnd)
    expect(chunkedFault('0\r\n\n')).to.equal(Fault.trailer)
    const good = '0000000000000005\r\nhello\r\nA\r\n0123456789\r\n1f\r\nall your base are belong to us!\r\n000\r\n\r\n'
    expect(forwardChunks(good)).to.equal(good)
    expect(forwardBody(bytes(good), BodyKind.chunked, 0, { unframes: true }).out).to.equal(
      'hello0123456789all your base are belong to us!',
    )
  })

  it('R15 chunk extensions are read by their grammar, left out, and bounded', () => {
    expect(forwardChunks('5;a;b=c;d="e;\\"\r \t\u00e9"\r\nhello\r\n0;x\r\n\r\n'.replace('\r \t', ' \t'))).to.equal(
      '5\r\nhello\r\n0\r\n\r\n',
    )
    for (const bad of [
      '5;',
      '5;a=',
      '5;;a',
      '5; a',
      '5;a ',
      '5 ;a',
      '5;a="b',
      '5;\0a',
      '5;a\rX',
      '5;a="\n"',
      '5;a=b c',
      '5;a="b"c',
    ])
      expect(chunkedFault(`${bad}\r\nhello\r\n0\r\n\r\n`), bad).to.be.lessThan(0)
    const limits = { ...defaultLimits, maxChunkLineBytes: 20, maxChunkExtensionBytes: 50 }
    const one = '1;aaaaaaaaaaaaa\r\nx\r\n'
    expect(forwardBody(bytes(one.repeat(3)), BodyKind.chunked, 0, { limits }).fault).to.equal(0)
    expect(forwardBody(bytes(one.repeat(4)), BodyKind.chunked, 0, { limits }).fault).to.equal(
      Fault.chunkExtensionsTooLarge,
    )
    expect(forwardBody(bytes('1;aaaaaaaaaaaaaaaaaaaa\r\n'), BodyKind.chunked, 0, { limits }).fault).to.equal(
      Fault.chunkLineTooLong,
    )
  })

  it('R16 trailers are validated, forbidden ones left out, the rest kept only when wished', () => {
    const body = (trailers: string) => `1\r\na\r\n0\r\n${trailers}\r\n`
    const forbidden =
      'Transfer-Encoding: chunked\r\nContent-Length: 5\r\nHost: b\r\nAuthorization: x\r\nContent-Type: t\r\nX-Mesh-Source: me\r\nx_mesh_source: me\r\nSet-Cookie: a\r\nTrailer: b\r\nConnection: close\r\n'
    const mixed = body(`X-Sum: 1\r\n${forbidden}grpc-status: 0\r\n`)
    expect(forwardChunks(mixed)).to.equal(body('X-Sum: 1\r\ngrpc-status: 0\r\n'))
    expect(forwardBody(bytes(mixed), BodyKind.chunked, 0, { keepsTrailers: false }).out).to.equal(body(''))
    expect(forwardBody(bytes(mixed), BodyKind.chunked, 0, { unframes: true }).out).to.equal('a')
    const unframed = forwardBody(bytes(mixed), BodyKind.chunked, 0, { unframes: true, keepsTrailers: true }).out
    expect(unframed, 'content, then what is kept').to.equal('aX-Sum: 1\r\ngrpc-status: 0\r\n\r\n')
    expect(trailerFields(bytes('X-Sum: 1\r\ngrpc-status:0 \r\n\r\n'))).to.deep.equal([
      ['x-sum', '1'],
      ['grpc-status', '0'],
    ])
    expect(trailerFields(bytes('\r\n'))).to.equal(null)
    for (const bad of [' a: b\r\n', 'a : b\r\n', 'a\r\n', ': b\r\n', 'a: b\n', 'a: b\0\r\n', 'a: b\r\n c\r\n'])
      expect(chunkedFault(body(bad)), bad).to.equal(Fault.trailer)
    expect(chunkedFault(body('a: b\r\n'.repeat(101)))).to.equal(Fault.trailersTooLarge)
    expect(chunkedFault(body(`a: ${'b'.repeat(defaultLimits.maxHeadBytes)}\r\n`))).to.equal(Fault.trailersTooLarge)
    expect(requestHead(post('Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n')).header('x-sum')).to.equal(undefined)
  })

  it('R17 fields for one hop and fields that Connection names are left out, end-to-end controls are not', () => {
    const text = get(
      'Connection: keep-alive, X-Secret, host, authorization, x-request-id\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: foo\r\nAuthorization: Basic x\r\nX-Request-Id: 7\r\nx-sEcret: 2\r\nX-Other: 3\r\n',
    )
    expect(forwardedRequest(text)).to.equal(
      'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic x\r\nX-Request-Id: 7\r\nX-Other: 3\r\nVia: 1.1 mesh\r\n\r\n',
    )
    expect(
      forwardedReply(
        ok('Connection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n'),
      ),
    ).to.equal('HTTP/1.1 200 OK\r\nSet-Cookie: b\r\nContent-Length: 0\r\nVia: 1.1 mesh\r\n\r\n')
    expect(forwardedRequest(post('Connection: content-length\r\nContent-Length: 3\r\n'))).to.contain(
      'Content-Length: 3\r\n',
    )
    refuses(Fault.connection, get(`Connection: ${Array.from({ length: 33 }, (_, i) => `h${i}`).join()}\r\n`))
    expect(forwardedRequest(get('Connection: , "x", close;q, ,x\r\nx: 1\r\ny: 2\r\n'))).to.equal(
      'GET / HTTP/1.1\r\nHost: a\r\ny: 2\r\nVia: 1.1 mesh\r\n\r\n',
    )
  })

  it('R18 of TE only trailers goes on; Via is added; Max-Forwards is counted down', () => {
    expect(forwardedRequest(get('TE: gzip;q=0.5, trailers\r\nConnection: TE\r\n'))).to.equal(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\nVia: 1.1 mesh\r\n\r\n',
    )
    expect(forwardedRequest(get('TE: gzip\r\nConnection: TE\r\n'))).to.equal(
      'GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 mesh\r\n\r\n',
    )
    const options = (value: string) => `OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: ${value}\r\n\r\n`
    expect(forwardedRequest(options('10'))).to.contain('\r\nMax-Forwards: 9\r\n')
    expect(requestHead(options('0')).maxForwards).to.equal(0)
    expect(forwardedRequest(options('x'))).to.contain('\r\nMax-Forwards: x\r\n')
    expect(forwardedRequest(get('Max-Forwards: 3\r\n'))).to.contain('\r\nMax-Forwards: 3\r\n')
    expect(forwardedRequest(get('Via: 1.0 other\r\n'))).to.contain('\r\nVia: 1.0 other\r\nVia: 1.1 mesh\r\n')
    const looped = requestHead(get('Via: 1.1 mesh, 1.0 mesh2\r\nvia: HTTP/1.1 MESH (x)\r\n'))
    expect([looped.countVia('mesh'), looped.countVia('mesh2'), looped.countVia('me')]).to.deep.equal([2, 1, 0])
  })

  it('R19 only a websocket upgrade that Connection lists is one; h2c is taken out', () => {
    const upgrade = 'Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n'
    expect(requestHead(get(upgrade)).upgradesToWebSocket).to.equal(true)
    expect(requestHead(get('Connection: upgrade\r\nUpgrade: h2c, WebSocket\r\n')).upgradesToWebSocket).to.equal(true)
    for (const other of [
      'Upgrade: websocket\r\n',
      'Connection: Upgrade\r\n',
      'Connection: Upgrade\r\nUpgrade: h2c\r\n',
    ])
      expect(requestHead(get(other)).upgradesToWebSocket, other).to.equal(false)
    expect(forwardedRequest(get(upgrade), { upgrades: true })).to.equal(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nVia: 1.1 mesh\r\n\r\n',
    )
    expect(
      forwardedRequest(
        get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'),
      ),
    ).to.equal('GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 mesh\r\n\r\n')
    const reply =
      'HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n'
    expect(replyHead(reply).upgradesToWebSocket).to.equal(false)
    expect(forwardedReply(reply)).to.contain('\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n')
  })

  it('R20 an upgrade with a body, in HTTP/1.0, or with another method than GET is none', () => {
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    for (const text of [
      get(`${upgrade}Content-Length: 1\r\n`),
      get(`${upgrade}Transfer-Encoding: chunked\r\n`),
      post(upgrade),
      `GET / HTTP/1.0\r\n${upgrade}\r\n`,
    ]) {
      expect(requestHead(text).upgradesToWebSocket, text).to.equal(false)
      expect(forwardedRequest(text), text).to.not.match(/upgrade/i)
    }
  })

  it('R21 interim replies are heads without a body; 101 only when asked', () => {
    const many = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok('Content-Length: 2\r\n')}hi`
    expect(
      readStream(bytes(many), { isReply: true }).messages.map((message) => [message.status, message.body]),
    ).to.deep.equal([
      [100, ''],
      [103, ''],
      [200, 'hi'],
    ])
    const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
    expect(replyResult(switching)).to.equal(Fault.switchNotAsked)
    const head = replyHead(switching, Method.get, true)
    expect([head.body, head.upgradesToWebSocket]).to.deep.equal([BodyKind.tunnel, true])
    expect(forwardedReply(switching, { upgrades: true }, Method.get, true)).to.equal(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nVia: 1.1 mesh\r\n\r\n',
    )
    expect(replyResult('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n', Method.get, true)).to.equal(
      Fault.switchNotAsked,
    )
  })

  it('R22 100-continue goes on or is left out; an unknown expectation is 417', () => {
    const text = post('Expect: 100-Continue\r\nContent-Length: 3\r\n')
    expect(requestHead(text).expectsContinue).to.equal(true)
    expect(forwardedRequest(text)).to.contain('\r\nExpect: 100-Continue\r\n')
    expect(forwardedRequest(text, { dropsExpect: true })).to.not.match(/expect/i)
    refuses(Fault.expectation, get('Expect: 200-ok\r\n'), get('Expect: 100-continue, x\r\n'), get('Expect: \r\n'))
    expect(httpFault(Fault.expectation).status).to.equal(417)
    expect(forwardedRequest(get('Expect: 100-continue\r\n')), 'without a body').to.not.match(/expect/i)
    expect(forwardedRequest('POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nExpect: x\r\n\r\n')).to.not.match(
      /expect/i,
    )
  })

  it('R23 replies to HEAD, 1xx, 204 and 304 have no body, whatever they announce', () => {
    for (const framing of ['Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', '']) {
      expect(replyHead(ok(framing), Method.head).body).to.equal(BodyKind.none)
      for (const status of [100, 103, 204, 304])
        expect(replyHead(`HTTP/1.1 ${status} X\r\n${framing}\r\n`).body, `${status}`).to.equal(BodyKind.none)
    }
    expect(forwardedReply(ok('Content-Length: 5\r\n'), {}, Method.head)).to.contain('\r\nContent-Length: 5\r\n')
    expect(forwardedReply('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n')).to.contain(
      '\r\nContent-Length: 5\r\n',
    )
    expect(forwardedReply('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n')).to.not.match(/content-length/i)
    expect(forwardedReply('HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n')).to.not.match(
      /transfer-encoding/i,
    )
    expect(forwardedReply(ok('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'), {}, Method.head)).to.equal(
      'HTTP/1.1 200 OK\r\nVia: 1.1 mesh\r\n\r\n',
    )
  })

  it('R24 a body with GET, HEAD, DELETE or OPTIONS is read, never skipped', () => {
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
      const stream = readStream(
        bytes(`${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi${get('', '/next')}`),
      )
      expect(stream.messages.map((message) => [message.target, message.body])).to.deep.equal([
        ['/', 'hi'],
        ['/next', ''],
      ])
    }
  })

  it('R26 the end of a connection inside a body is not the end of the body', () => {
    const half = (text: string, isReply: boolean) => readStream(bytes(text), { isReply }).endsCleanly
    expect(half(`${post('Content-Length: 5\r\n')}hell`, false)).to.equal(false)
    expect(half(`${post('Transfer-Encoding: chunked\r\n')}4\r\nhell\r\n`, false)).to.equal(false)
    expect(half(`${ok('Content-Length: 5\r\n')}hell`, true)).to.equal(false)
    expect(half(`${ok('Transfer-Encoding: chunked\r\n')}4\r\nhell\r\n0\r\n`, true)).to.equal(false)
    expect(half(`${ok()}hell`, true)).to.equal(true)
    expect(half(post(''), false)).to.equal(true)
  })

  it('R27 a close-delimited reply becomes chunked, or stays so for HTTP/1.0; a request never is', () => {
    expect(replyHead(ok()).body).to.equal(BodyKind.untilClose)
    expect(replyHead(ok()).keepsAlive).to.equal(false)
    expect(forwardedReply(ok(), { framing: ReplyFraming.chunked })).to.equal(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 mesh\r\n\r\n',
    )
    expect(
      forwardedReply(ok('Transfer-Encoding: chunked\r\n'), { framing: ReplyFraming.untilClose, closes: true }),
    ).to.equal('HTTP/1.1 200 OK\r\nConnection: close\r\nVia: 1.1 mesh\r\n\r\n')
    expect(requestHead(post('')).body).to.equal(BodyKind.none)
    expect(requestHead(post('Connection: close\r\n')).body).to.equal(BodyKind.none)
  })

  it('R29 a request begins where the body before it ends', () => {
    const input = bytes(
      `${post('Content-Length: 3\r\n')}abc${post('Transfer-Encoding: chunked\r\n')}2;x\r\nde\r\n0\r\nA: b\r\n\r\n${get('', '/3')}`,
    )
    for (let pieceBytes = 1; pieceBytes <= input.length; pieceBytes++) {
      const stream = readStream(input, { pieceBytes })
      expect(stream.messages.map((message) => `${message.method} ${message.target} ${message.body}`)).to.deep.equal([
        'POST / abc',
        'POST / de',
        'GET /3 ',
      ])
    }
  })

  it('R30 HTTP/1.0 closes unless asked to stay, and gets a Host on the way', () => {
    expect(requestHead('GET / HTTP/1.0\r\n\r\n').keepsAlive).to.equal(false)
    expect(requestHead('GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n').keepsAlive).to.equal(true)
    expect(requestHead('GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n').keepsAlive).to.equal(false)
    expect(requestHead(get('Connection: close\r\n')).keepsAlive).to.equal(false)
    expect(forwardedRequest('GET / HTTP/1.0\r\nA: b\r\n\r\n', { authority: bytes('orders') })).to.equal(
      'GET / HTTP/1.1\r\nA: b\r\nHost: orders\r\nVia: 1.0 mesh\r\n\r\n',
    )
    expect(forwardedRequest('GET / HTTP/1.0\r\n\r\n')).to.contain('\r\nHost: \r\n')
    expect(forwardedReply('HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n', { saysKeepAlive: true })).to.equal(
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\nVia: 1.0 mesh\r\n\r\n',
    )
    expect(replyHead('HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n').keepsAlive).to.equal(false)
  })

  it('R32 names and values of ours obey the same grammar as received ones', () => {
    expect(['a', 'X-Y', "!#$%&'*+-.^_`|~"].every(isToken)).to.equal(true)
    expect(['', 'a b', 'a:', 'a\r', '\u00e9', '\u0141'].some(isToken)).to.equal(false)
    expect(['', 'a b', 'a\tb', '\u00e9'].every(isFieldValue)).to.equal(true)
    expect(['a\r\nb: c', 'a\n', 'a\0', ' a', 'a\t', '\u0141', '\x7f'].some(isFieldValue)).to.equal(false)
  })

  it('R33 CONNECT, TRACE and methods of other protocols are refused', () => {
    refuses(Fault.method, line('CONNECT a:443 HTTP/1.1'), line('TRACE / HTTP/1.1'), line('PLAY / HTTP/1.1'))
    refuses(Fault.traceBody, 'TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n')
    expect(httpFault(Fault.method).status).to.equal(501)
  })

  it('R34 a head has at most maxHeadBytes and maxFields, exactly', () => {
    const fill = (length: number) => get(`A: ${'b'.repeat(length - get('A: \r\n').length)}\r\n`)
    takes(fill(defaultLimits.maxHeadBytes))
    refuses(Fault.headTooLarge, fill(defaultLimits.maxHeadBytes + 1), fill(70_000).slice(0, defaultLimits.maxHeadBytes))
    takes(get('A: b\r\n'.repeat(99)))
    refuses(Fault.tooManyFields, get('A: b\r\n'.repeat(100)))
    expect([Fault.headTooLarge, Fault.tooManyFields].map((fault) => httpFault(fault).status)).to.deep.equal([431, 431])
    expect(requestResult(get('A: b\r\n'.repeat(299)), { ...defaultLimits, maxFields: 300 })).to.be.greaterThan(0)
    refusesReply(Fault.headTooLarge, ok(`A: ${'b'.repeat(70_000)}\r\n`), `HTTP/1.1 200 ${'b'.repeat(70_000)}`)
    refusesReply(Fault.tooManyFields, ok('A: b\r\n'.repeat(101)))
  })

  it('R36 identity fields and their look-alikes are left out', () => {
    const text = get(
      'x-mesh-service: o\r\nX-MESH-SOURCE: me\r\nx_mesh_source: me\r\nx-mesh_whatever: me\r\nx.mesh.source: me\r\nX-Forwarded-Client-Cert: me\r\nx_forwarded_client_cert: me\r\nx-meshed: 1\r\nxx-mesh-a: 2\r\n',
    )
    expect(forwardedRequest(text)).to.equal(
      'GET / HTTP/1.1\r\nHost: a\r\nx-meshed: 1\r\nxx-mesh-a: 2\r\nVia: 1.1 mesh\r\n\r\n',
    )
    const ours = bytes('x-mesh-source: us\r\n')
    expect(forwardedRequest(text, { extra: ours, extraLength: ours.length })).to.match(/x-mesh-source: us\r\n\r\n$/)
  })

  it('R36 look-alikes of framing fields are left out, and those of our own words in replies', () => {
    const fields = 'Content_Length: 5\r\nTransfer_Encoding: chunked\r\ncontent.length: 9\r\n'
    expect(forwardedRequest(get(`${fields}A: 1\r\n`))).to.equal(
      'GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nVia: 1.1 mesh\r\n\r\n',
    )
    const reply = `HTTP/1.1 200 OK\r\n${fields}X_Mesh_Error: E_CONNECT_REFUSED\r\nx.mesh.tier: none\r\nContent-Length: 0\r\n\r\n`
    expect(forwardedReply(reply)).to.equal('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 mesh\r\n\r\n')
  })

  it('refuses a second Max-Forwards where it counts', () => {
    const twice = 'Max-Forwards: 3\r\nMax-Forwards: 0\r\n'
    refuses(Fault.maxForwards, `OPTIONS * HTTP/1.1\r\nHost: a\r\n${twice}\r\n`)
    expect(forwardedRequest(get(twice))).to.include(twice)
  })

  it('R37 the path goes on byte for byte', () => {
    for (const path of ['/%2e%2e/a', '/a%00b', '/%0d%0aX:1', '/a\\b', '/%c0%af', '//a//b/./..', '/a;b=c?d%3F?e']) {
      expect(forwardedRequest(get('', path)).startsWith(`GET ${path} HTTP/1.1\r\n`), path).to.equal(true)
      const head = requestHead(get('', path))
      expect(head.query === '' ? head.path : `${head.path}?${head.query}`).to.equal(path)
    }
    expect(forwardedRequest(get('', '/a'), { target: bytes('/b?c') })).to.match(/^GET \/b\?c HTTP\/1\.1\r\nHost: a\r\n/)
  })

  it('R39 order and duplicates are kept', () => {
    const fields = 'Cookie: a\r\nX: 1\r\nCookie: b\r\nx: 2\r\n'
    expect(forwardedRequest(get(fields))).to.equal(`GET / HTTP/1.1\r\nHost: a\r\n${fields}Via: 1.1 mesh\r\n\r\n`)
    const cookies = 'Set-Cookie: a=1\r\nX: 1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n'
    expect(forwardedReply(ok(cookies))).to.equal(`HTTP/1.1 200 OK\r\n${cookies}Via: 1.1 mesh\r\n\r\n`)
  })
})
