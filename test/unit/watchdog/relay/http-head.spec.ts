import { expect } from 'chai'
import { findHead, ownAnswer, readRequest, readResponse } from '../../../../watchdog/relay/http-head.ts'

const head = (text: string): Buffer => Buffer.from(`${text}\r\n\r\n`, 'latin1')

describe('the relay and HTTP heads', () => {
  it('finds the end of a head, waits for it, and gives up at the bound', () => {
    expect(findHead(Buffer.from('GET / HTTP/1.1\r\n'), 100)).to.deep.equal({ kind: 'more' })
    expect(findHead(Buffer.from('GET / HTTP/1.1\r\n\r\nbody'), 100)).to.deep.equal({ kind: 'head', end: 18 })
    expect(findHead(Buffer.alloc(100, 'x'), 100)).to.deep.equal({ kind: 'too-large' })
    expect(findHead(Buffer.concat([Buffer.alloc(100, 'x'), Buffer.from('\r\n\r\n')]), 100)).to.deep.equal({
      kind: 'too-large',
    })
  })

  it('asks for one request per connection, and keeps every other byte of the head', () => {
    const request = readRequest(
      head('GET /a?b HTTP/1.1\r\nHost: Orders:80\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nX-Bytes: \xff\xfe'),
    )!
    expect(request.bytes.toString('latin1')).to.equal(
      'GET /a?b HTTP/1.1\r\nHost: Orders:80\r\nX-Bytes: \xff\xfe\r\nconnection: close\r\n\r\n',
    )
    expect(request.named).to.deep.equal({ service: undefined, host: 'orders', fallback: undefined })
  })

  it('reads the service from the header, from an absolute target, and from Host', () => {
    expect(readRequest(head('GET / HTTP/1.1\r\nx-mesh-service: a\r\nHost: b'))!.named).to.deep.include({
      service: 'a',
      host: 'b',
    })
    expect(readRequest(head('GET http://C.local:99/x HTTP/1.1\r\nHost: b'))!.named.host).to.equal('c.local')
  })

  it('lets only safe methods without content be sent again', () => {
    const isRepeatable = (text: string): boolean | undefined =>
      readRequest(Buffer.from(`${text}\r\n\r\n`, 'latin1'))?.isRepeatable
    expect(isRepeatable('GET / HTTP/1.1\r\nhost: a')).to.equal(true)
    expect(isRepeatable('HEAD / HTTP/1.1\r\nhost: a\r\ncontent-length: 0')).to.equal(true)
    expect(isRepeatable('GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 3')).to.equal(false)
    expect(isRepeatable('GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked')).to.equal(false)
    expect(isRepeatable('POST / HTTP/1.1\r\nhost: a')).to.equal(false)
    expect(isRepeatable('DELETE / HTTP/1.1\r\nhost: a')).to.equal(false)
  })

  it('leaves a request for an upgrade as it is', () => {
    const upgrade = head('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket')
    expect(readRequest(upgrade)).to.deep.include({ bytes: upgrade, isUpgrade: true })
  })

  it('refuses what is not a request of HTTP/1', () => {
    for (const text of ['GET /', 'PRI * HTTP/2.0', '\x16\x03\x01', 'GET / HTTP/1.1 x', 'G T / HTTP/1.1']) {
      expect(readRequest(head(text)), text).to.equal(undefined)
    }
  })

  it('marks an answer with its tier and the end of the connection, once', () => {
    const answer = readResponse(
      head('HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nx-mesh-tier: agent\r\nContent-Length: 0'),
      'direct',
    )!
    expect(answer.bytes.toString()).to.equal(
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nconnection: close\r\nx-mesh-tier: direct\r\n\r\n',
    )
    expect(answer).to.include({ isInterim: false, isUpgrade: false })
  })

  it('passes interim answers and upgrades on unchanged', () => {
    const interim = head('HTTP/1.1 100 Continue')
    expect(readResponse(interim, 'center')).to.deep.equal({ bytes: interim, isInterim: true, isUpgrade: false })
    const upgraded = head('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket')
    expect(readResponse(upgraded, 'center')).to.deep.equal({ bytes: upgraded, isInterim: false, isUpgrade: true })
    expect(readResponse(head('SSH-2.0-x'), 'center')).to.equal(undefined)
  })

  it('answers itself with a code, a length that fits, and a close', () => {
    const [fields = '', body] = ownAnswer(503, 'E_CENTER_UNREACHABLE', 'nobody answers').toString().split('\r\n\r\n')
    expect(fields).to.match(/^HTTP\/1\.1 503 Service Unavailable\r\n/)
    expect(fields).to.include('x-mesh-error: E_CENTER_UNREACHABLE').and.include('connection: close')
    expect(fields).to.include(`content-length: ${Buffer.byteLength(body!)}`)
  })
})
