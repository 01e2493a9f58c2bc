import { expect } from 'chai'

import { parseReplies, parseRequests } from '../../../support/http1/strict-parser.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const get = (fields = '') => `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const post = (fields: string, body: string) => `POST /x?y HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`

describe('strict parser of the tests', () => {
  it('accepts a stream of good requests whole', () => {
    const stream = parseRequests(
      bytes(
        get('A: b\r\n') +
          post('Content-Length: 3\r\n', 'abc') +
          post('Transfer-Encoding: chunked\r\n', '2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n') +
          'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: TE, close\r\nTE: trailers\r\n\r\n',
      ),
    )
    expect([stream.problem, stream.isCut]).to.deep.equal([undefined, false])
    expect(stream.messages.map((message) => [message.method, message.target, message.body])).to.deep.equal([
      ['GET', '/', ''],
      ['POST', '/x?y', 'abc'],
      ['POST', '/x?y', 'hi'],
      ['OPTIONS', '*', ''],
    ])
    expect(stream.messages[2]?.trailers).to.deep.equal([['x-sum', '1']])
  })

  const bad: Readonly<Record<string, string>> = {
    'bare LF': 'GET / HTTP/1.1\nHost: a\r\n\r\n',
    'bare CR': 'GET / HTTP/1.1\rHost: a\r\n\r\n',
    'CR in an unfinished line': 'GET / HTTP/1.1\r\nHost: a\rb',
    'control character in an unfinished line': 'GET / HTTP/1.1\r\nHost: a\0',
    'empty line first': `\r\n${get()}`,
    'two spaces': 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n',
    'absolute form': 'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n',
    'old version': 'GET / HTTP/1.0\r\nHost: a\r\n\r\n',
    fragment: 'GET /#a HTTP/1.1\r\nHost: a\r\n\r\n',
    'asterisk with GET': 'GET * HTTP/1.1\r\nHost: a\r\n\r\n',
    'no Host': 'GET / HTTP/1.1\r\nA: b\r\n\r\n',
    'two Hosts': get('Host: a\r\n'),
    'Host with userinfo': 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n',
    'space before colon': get('A : b\r\n'),
    'folded line': get('A: b\r\n c\r\n'),
    'empty name': get(': b\r\n'),
    'no colon': get('ab\r\n'),
    'control character in a value': get('A: b\x07c\r\n'),
    'length and coding': post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'two lengths': post('Content-Length: 0\r\nContent-Length: 0\r\n', ''),
    'length with sign': post('Content-Length: +1\r\n', 'a'),
    'length with leading zero': post('Content-Length: 01\r\n', 'a'),
    'another coding': post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'),
    'chunk extension': post('Transfer-Encoding: chunked\r\n', '1;a\r\nb\r\n0\r\n\r\n'),
    'chunk size with prefix': post('Transfer-Encoding: chunked\r\n', '0x1\r\nb\r\n0\r\n\r\n'),
    'chunk data without CRLF': post('Transfer-Encoding: chunked\r\n', '1\r\nbb\r\n0\r\n\r\n'),
    'LF after a chunk': post('Transfer-Encoding: chunked\r\n', '1\r\nb\n0\r\n\r\n'),
    'forbidden trailer': post('Transfer-Encoding: chunked\r\n', '0\r\nContent-Length: 1\r\n\r\n'),
    'field for one hop': get('Keep-Alive: 5\r\n'),
    'Connection that names a field': get('Connection: x\r\n'),
    'Upgrade alone': get('Upgrade: websocket\r\n'),
    'TE with a coding': get('Connection: TE\r\nTE: gzip\r\n'),
    garbage: 'hello\r\n\r\n',
  }
  for (const [name, text] of Object.entries(bad)) {
    it(`refuses ${name}`, () => {
      expect(parseRequests(bytes(text)).problem).to.be.a('string')
    })
  }

  it('tells a cut stream from a bad one, at every byte', () => {
    const whole =
      post('Transfer-Encoding: chunked\r\n', '2\r\nhi\r\n0\r\nA: b\r\n\r\n') + post('Content-Length: 2\r\n', 'yo')
    let complete = 0
    for (let length = 1; length < whole.length; length++) {
      const stream = parseRequests(bytes(whole.slice(0, length)))
      expect(stream.problem, `${length}`).to.equal(undefined)
      if (!stream.isCut) complete++
    }
    expect(complete, 'only the end of the first message is a clean end').to.equal(1)
  })

  it('counts replies by the requests they answer', () => {
    const stream = parseReplies(
      bytes(
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end',
      ),
      ['POST', 'HEAD', 'GET', 'GET'],
      true,
    )
    expect(stream.problem).to.equal(undefined)
    expect(stream.messages.map((message) => [message.status, message.body])).to.deep.equal([
      [100, ''],
      [200, 'hi'],
      [200, ''],
      [204, ''],
      [200, 'to the end'],
    ])
    expect(parseReplies(bytes('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), [], true).problem).to.match(
      /nobody asked/,
    )
    expect(parseReplies(bytes('HTTP/1.1 200 OK\r\n\r\nhalf'), ['GET'], false).isCut).to.equal(true)
    expect(parseReplies(bytes('HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n'), ['GET'], true).problem).to.be.a('string')
  })

  it('leaves what follows a switch alone', () => {
    const upgrade = get('Connection: Upgrade\r\nUpgrade: websocket\r\n')
    const request = parseRequests(bytes(`${upgrade}\x81\x05hello`), true)
    expect(parseRequests(bytes(upgrade + get())).messages.length, 'not switched').to.equal(2)
    expect([request.problem, request.tunnel]).to.deep.equal([undefined, '\x81\x05hello'])
    const reply = parseReplies(
      bytes('HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00'),
      ['GET'],
      false,
    )
    expect(reply.tunnel).to.equal('\x81\x00')
  })
})
