import { expect } from 'chai'
import { MeshError } from '../../../../contracts/errors.ts'
import { gathered, readOutgoing, wholeBodyBytes } from '../../../../sdk/http/outgoing.ts'

describe('a request as undici describes it', () => {
  const get = { origin: 'http://orders', path: '/', method: 'GET' }

  it('calls the service that x-mesh-service names, else the host of its address', () => {
    expect(readOutgoing(get).service).to.equal('orders')
    expect(readOutgoing({ ...get, headers: { 'X-Mesh-Service': 'G@@Orders' } }).service).to.equal('G@@Orders')
    expect(() => readOutgoing({ path: '/', method: 'GET' })).to.throw(MeshError, 'names nobody')
  })

  it('takes header fields in each of their forms, and leaves out those of one connection', () => {
    const wanted = ['host', 'orders', 'a', '1', 'b', '2', 'b', '3']
    for (const headers of [
      { a: '1', b: ['2', '3'], connection: 'close', 'transfer-encoding': 'chunked' },
      ['a', '1', 'b', '2', 'b', '3', 'Connection', 'close'],
      new Map<string, unknown>([
        ['a', '1'],
        ['b', ['2', '3']],
      ]),
    ])
      expect(readOutgoing({ ...get, headers }).fields).to.deep.equal(wanted)
  })

  it('knows what may be sent twice, by the method or by the caller’s word', () => {
    expect(readOutgoing(get).isIdempotent).to.equal(true)
    expect(readOutgoing({ ...get, method: 'POST' }).isIdempotent).to.equal(false)
    expect(readOutgoing({ ...get, method: 'POST', idempotent: true }).isIdempotent).to.equal(true)
  })

  for (const [what, change, word] of [
    ['https', { origin: 'https://orders' }, 'say http'],
    ['an upgrade', { upgrade: 'websocket' }, 'localhost port'],
    ['CONNECT', { method: 'CONNECT' }, 'localhost port'],
    ['a method that is no token', { method: 'G ET' }, 'no token'],
    ['a path without a slash', { path: 'x' }, 'slash'],
    ['a field name that is no token', { headers: { 'a b': '1' } }, 'no token'],
    ['an odd list of fields', { headers: ['a'] }, 'without a value'],
    ['a body that is none', { body: 5 }, 'neither text'],
  ] as const)
    it(`refuses ${what} before anything is sent`, () => {
      expect(() => readOutgoing({ ...get, ...change })).to.throw(MeshError, word)
    })

  it('takes a short stream whole, and of a long one loses nothing', async () => {
    async function* pieces(count: number): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < count; at++) yield Buffer.alloc(1000, at % 256)
    }
    const short = await gathered({ kind: 'stream', chunks: pieces(3) })
    expect(short.kind === 'whole' && short.bytes.length).to.equal(3000)
    const long = await gathered({ kind: 'stream', chunks: pieces(100) })
    if (long.kind !== 'stream') throw new Error('it is longer than what is taken')
    const parts: Buffer[] = []
    for await (const part of long.chunks) parts.push(part as Buffer)
    expect(Buffer.concat(parts).length).to.equal(100_000).and.to.be.above(wholeBodyBytes)
    expect(Buffer.concat(parts)[99_999]).to.equal(99)
  })
})
