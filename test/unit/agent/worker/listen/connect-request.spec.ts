import { expect } from 'chai'
import { ConnectRequest } from '../../../../../agent/worker/listen/tunnels/connect-request.ts'
import { defaultLimits } from '../../../../../contracts/snapshot.ts'
import { StringCache } from '../../../../../http1/string-cache.ts'

const look = (text: string) =>
  new ConnectRequest(new StringCache(), defaultLimits, 'agent').look(Buffer.from(text, 'latin1'))

function problemOf(text: string) {
  const step = look(text)
  if (step.kind !== 'bad') throw new Error(`found ${step.kind}`)
  return step.problem
}

describe('CONNECT', () => {
  it('names a host in lower case and a port; what comes behind its head is the tunnel’s', () => {
    const head = 'CONNECT Orders:8443 HTTP/1.1\r\nHost: anything\r\nProxy-Connection: keep-alive\r\n\r\n'
    const step = look(`${head}early`)
    if (step.kind !== 'request') throw new Error(step.kind)
    expect(step.length).to.equal(head.length)
    expect(step.request).to.include({ kind: 'CONNECT', host: 'orders', port: 8443 })
    expect(step.request.granted.toString()).to.equal('HTTP/1.1 200 Connection Established\r\n\r\n')
  })

  it('takes an address, one of IPv6 in brackets', () => {
    const step = look('CONNECT [fd00::1]:80 HTTP/1.0\r\n\r\n')
    expect(step.kind === 'request' && step.request.host).to.equal('[fd00::1]')
  })

  it('waits for the rest of its head', () => {
    const connect = new ConnectRequest(new StringCache(), defaultLimits, 'agent')
    const text = 'CONNECT orders:80 HTTP/1.1\r\nHost: orders\r\n\r\n'
    for (let length = 8; length < text.length; length++)
      expect(connect.look(Buffer.from(text.slice(0, length))).kind).to.equal('more')
    expect(connect.look(Buffer.from(text)).kind).to.equal('request')
  })

  it('is refused where it is no good request, by the rules of every other', () => {
    expect(problemOf('CONNECT orders HTTP/1.1\r\nHost: orders\r\n\r\n')).to.include({
      status: 400,
      text: 'CONNECT without a port',
    })
    expect(problemOf('CONNECT orders:0 HTTP/1.1\r\nHost: orders\r\n\r\n').status).to.equal(400)
    expect(problemOf('CONNECT http://orders/ HTTP/1.1\r\nHost: orders\r\n\r\n').status).to.equal(400)
    expect(problemOf('CONNECT user@orders:80 HTTP/1.1\r\nHost: orders\r\n\r\n').status).to.equal(400)
    expect(problemOf('CONNECT orders:80 HTTP/1.1\r\n\r\n').status, 'no Host').to.equal(400)
    expect(problemOf('CONNECT orders:80 HTTP/1.1\nHost: orders\n\n').status, 'bare line feeds').to.equal(400)
    expect(problemOf('CONNECT orders:80 HTTP/1.1\r\nHost: orders\r\nContent-Length: 3\r\n\r\nabc').status).to.equal(400)
    expect(problemOf(`CONNECT orders:80 HTTP/1.1\r\nHost: orders\r\na: ${'x'.repeat(70_000)}\r\n\r\n`).status).to.equal(
      431,
    )
  })
})
