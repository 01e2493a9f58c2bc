import { expect } from 'chai'
import { MeshError } from '../../../../../contracts/errors.ts'
import {
  decodeBody,
  decodePayload,
  encodePayload,
  maxPayloadHeaders,
} from '../../../../../registry-adapters/nacos/wire/payload.ts'

const sample = encodePayload({
  type: 'SubscribeServiceRequest',
  clientIp: '10.0.0.5',
  headers: { accessToken: 'abc', ünïcode: 'wörth' },
  body: Buffer.from('{"serviceName":"orders"}'),
})

describe('nacos payload', () => {
  it('comes back as it was', () => {
    const payload = decodePayload(sample)
    expect(payload.type).to.equal('SubscribeServiceRequest')
    expect(payload.clientIp).to.equal('10.0.0.5')
    expect({ ...payload.headers }).to.deep.equal({ accessToken: 'abc', ünïcode: 'wörth' })
    expect(decodeBody(payload)).to.deep.equal({ serviceName: 'orders' })
  })

  it('has the bytes of the public proto file', () => {
    const bytes = encodePayload({ type: 'A', clientIp: 'b', body: Buffer.from('{}') })
    // Payload.metadata = 2 { type = 3 "A", clientIp = 8 "b" }, Payload.body = 3 { value = 2 "{}" }
    expect(bytes.toString('hex')).to.equal('12061a0141420162' + '1a0412027b7d')
  })

  it('skips unknown fields of every wire type', () => {
    const unknown = Buffer.from('4896017a03616263a5010102030499010102030405060708', 'hex')
    expect(decodePayload(Buffer.concat([unknown, sample, unknown])).type).to.equal('SubscribeServiceRequest')
  })

  it('is refused as a protocol error wherever it is cut, never with another error', () => {
    for (let length = 0; length < sample.length; length++) {
      try {
        decodeBody(decodePayload(sample.subarray(0, length)))
      } catch (error) {
        expect(error, `cut at ${length}`).to.be.instanceOf(MeshError).with.property('code', 'E_REGISTRY_PROTOCOL')
      }
    }
  })

  it('survives any change of any byte', () => {
    let refused = 0
    for (let at = 0; at < sample.length; at++)
      for (const value of [0x00, 0x7f, 0x80, 0xff, sample[at]! ^ 0x01]) {
        const bytes = Buffer.from(sample)
        bytes[at] = value
        try {
          decodeBody(decodePayload(bytes))
        } catch (error) {
          expect(error).to.be.instanceOf(MeshError)
          refused++
        }
      }
    expect(refused).to.be.greaterThan(50)
  })

  it('has a bound on headers, and headers cannot reach a prototype', () => {
    const many = Object.fromEntries(Array.from({ length: maxPayloadHeaders + 1 }, (_, index) => [`h${index}`, 'x']))
    expect(() => decodePayload(encodePayload({ type: 'A', headers: many, body: Buffer.from('{}') }))).to.throw(
      MeshError,
    )
    const hostile = JSON.parse('{"__proto__": "x"}') as Record<string, string>
    const { headers } = decodePayload(encodePayload({ type: 'A', headers: hostile, body: Buffer.from('{}') }))
    expect(Object.getPrototypeOf(headers)).to.equal(null)
  })

  it('is refused when its body is no JSON object', () => {
    for (const body of ['', '{"a":', '[1]', 'null', '"x"'])
      expect(() => decodeBody(decodePayload(encodePayload({ type: 'A', body: Buffer.from(body) })))).to.throw(MeshError)
  })
})
