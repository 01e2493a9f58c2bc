import { expect } from 'chai'
import { Socks5 } from '../../../../../agent/worker/listen/tunnels/socks5.ts'
import type { SocksStep } from '../../../../../agent/worker/listen/tunnels/socks5.ts'

const greeting = Buffer.of(5, 1, 0)
const named = (name: string, port: number, command = 1): Buffer =>
  Buffer.concat([
    Buffer.of(5, command, 0, 3, name.length),
    Buffer.from(name, 'latin1'),
    Buffer.of(port >> 8, port & 255),
  ])

/** Behind a greeting without a password. */
function ask(bytes: Buffer): SocksStep {
  const socks = new Socks5()
  expect(socks.look(greeting)).to.deep.equal({ kind: 'say', length: 3, bytes: Buffer.of(5, 0) })
  return socks.look(bytes)
}

function requestOf(bytes: Buffer) {
  const step = ask(bytes)
  if (step.kind !== 'request') throw new Error(`found ${step.kind}`)
  return step
}

describe('SOCKS5', () => {
  it('takes a name, in lower case, an address of IPv4 and one of IPv6', () => {
    expect(requestOf(named('Orders', 443)).request).to.include({ kind: 'SOCKS5', host: 'orders', port: 443 })
    expect(requestOf(Buffer.of(5, 1, 0, 1, 10, 0, 0, 9, 0, 80)).request).to.include({ host: '10.0.0.9', port: 80 })
    const six = Buffer.concat([
      Buffer.of(5, 1, 0, 4),
      Buffer.from('fd000000000000000000000000000001', 'hex'),
      Buffer.of(0, 80),
    ])
    expect(requestOf(six).request.host).to.equal('[fd00::1]')
  })

  it('leaves what comes behind the request to the tunnel', () => {
    const bytes = named('orders', 80)
    expect(requestOf(Buffer.concat([bytes, Buffer.from('early')])).length).to.equal(bytes.length)
  })

  it('waits for the rest of every step, whole bytes at a time', () => {
    const bytes = named('orders', 80)
    for (let length = 0; length < bytes.length; length++)
      expect(ask(bytes.subarray(0, length)), String(length)).to.deep.equal({ kind: 'more' })
    for (let length = 0; length < greeting.length; length++)
      expect(new Socks5().look(greeting.subarray(0, length))).to.deep.equal({ kind: 'more' })
  })

  it('takes any name and password where a caller offers nothing else', () => {
    const socks = new Socks5()
    expect(socks.look(Buffer.of(5, 1, 2))).to.deep.equal({ kind: 'say', length: 3, bytes: Buffer.of(5, 2) })
    const password = Buffer.concat([Buffer.of(1, 3), Buffer.from('tom'), Buffer.of(2), Buffer.from('pw')])
    expect(socks.look(password.subarray(0, 5))).to.deep.equal({ kind: 'more' })
    expect(socks.look(password)).to.deep.equal({ kind: 'say', length: password.length, bytes: Buffer.of(1, 0) })
    expect(socks.look(named('orders', 80)).kind).to.equal('request')
  })

  it('refuses other methods, other commands, other kinds of address and other versions, each with its code', () => {
    expect(new Socks5().look(Buffer.of(5, 1, 1))).to.deep.equal({ kind: 'refuse', bytes: Buffer.of(5, 0xff) })
    expect(new Socks5().look(Buffer.of(5, 0)).kind).to.equal('refuse')
    const codeOf = (bytes: Buffer): number | undefined => {
      const step = ask(bytes)
      return step.kind === 'refuse' ? step.bytes[1] : undefined
    }
    expect(codeOf(named('orders', 80, 2)), 'BIND').to.equal(7)
    expect(codeOf(named('orders', 80, 3)), 'UDP').to.equal(7)
    expect(codeOf(Buffer.of(5, 1, 0, 9, 0, 0))).to.equal(8)
    expect(codeOf(Buffer.of(5, 1, 0, 3, 0, 0, 0)), 'an empty name').to.equal(8)
    expect(codeOf(Buffer.of(4, 1, 0, 1, 0))).to.equal(1)
  })

  it('says why a tunnel does not come about', () => {
    const { request } = requestOf(named('orders', 80))
    const codeOf = (status: number, code: 'E_CONNECT_FAILED' | 'E_AUTHORIZATION_DENIED' | 'E_ROUTE_UNKNOWN_SERVICE') =>
      request.refused({ status, code, fields: [], body: Buffer.alloc(0) })[1]
    expect(codeOf(403, 'E_AUTHORIZATION_DENIED')).to.equal(2)
    expect(codeOf(503, 'E_ROUTE_UNKNOWN_SERVICE')).to.equal(4)
    expect(codeOf(503, 'E_CONNECT_FAILED')).to.equal(5)
    expect(request.granted[1]).to.equal(0)
  })
})
