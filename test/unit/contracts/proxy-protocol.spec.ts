import { expect } from 'chai'
import {
  encodeProxyV1,
  encodeProxyV2,
  maxProxyV2Bytes,
  parseProxyHeader,
  relayTlvs,
  tlvText,
} from '../../../contracts/proxy-protocol.ts'
import type { ProxyHeader } from '../../../contracts/proxy-protocol.ts'
import { proxyTlv } from '../../../contracts/words.ts'

const source = { address: '10.0.0.5', port: 50_000 }
const destination = { address: '127.0.0.1', port: 15_001 }
const tlvs = relayTlvs({ service: 'public/DEFAULT_GROUP@@orders', host: 'host-a', listener: 'service:orders' })

function parsed(bytes: Buffer): ProxyHeader {
  const result = parseProxyHeader(bytes)
  if (result.kind !== 'header') throw new Error(JSON.stringify(result))
  expect(result.length).to.equal(bytes.length)
  return result.header
}

describe('the PROXY protocol', () => {
  it('version 2 carries addresses and our TLVs unchanged, for both families', () => {
    for (const [from, to] of [
      [source, destination],
      [
        { address: '2001:db8::1', port: 1 },
        { address: '::1', port: 65_535 },
      ],
    ] as const) {
      const header = parsed(encodeProxyV2({ command: 'proxy', source: from, destination: to, tlvs }))
      expect(header.source).to.deep.equal(from)
      expect(header.destination).to.deep.equal(to)
      expect(tlvText(header, proxyTlv.service)).to.equal('public/DEFAULT_GROUP@@orders')
      expect(tlvText(header, proxyTlv.host)).to.equal('host-a')
      expect(tlvText(header, proxyTlv.listener)).to.equal('service:orders')
    }
  })

  it('version 2 without addresses still carries its TLVs', () => {
    const header = parsed(encodeProxyV2({ command: 'local', source: undefined, destination: undefined, tlvs }))
    expect(header).to.include({ command: 'local', source: undefined, destination: undefined })
    expect(header.tlvs).to.have.length(3)
  })

  it('version 2 reads a header built by hand from the document', () => {
    const bytes = Buffer.from('0d0a0d0a000d0a515549540a2111000f7f0000017f0000021f9000500400' + '00', 'hex')
    const header = parsed(bytes)
    expect(header.source).to.deep.equal({ address: '127.0.0.1', port: 8080 })
    expect(header.destination).to.deep.equal({ address: '127.0.0.2', port: 80 })
    expect(header.tlvs).to.deep.equal([{ type: 4, value: Buffer.alloc(0) }])
  })

  it('version 1 is read as it is written', () => {
    expect(encodeProxyV1(source, destination).toString()).to.equal('PROXY TCP4 10.0.0.5 127.0.0.1 50000 15001\r\n')
    expect(parsed(encodeProxyV1(source, destination))).to.deep.equal({
      command: 'proxy',
      source,
      destination,
      tlvs: [],
    })
    const six = { address: '::ffff:1.2.3.4', port: 9 }
    expect(parsed(encodeProxyV1(six, { address: '::1', port: 1 })).source).to.deep.equal(six)
    expect(encodeProxyV1(source, { address: '::1', port: 1 }).toString()).to.equal('PROXY UNKNOWN\r\n')
    expect(parsed(Buffer.from('PROXY UNKNOWN anything at all\r\n')).source).to.equal(undefined)
  })

  it('asks for more as long as the bytes may still become a header, and not a byte longer', () => {
    for (const whole of [
      encodeProxyV1(source, destination),
      encodeProxyV2({ command: 'proxy', source, destination, tlvs }),
    ]) {
      for (let length = 0; length < whole.length; length++) {
        expect(parseProxyHeader(whole, length).kind, `${length} bytes`).to.equal('more')
      }
      const withBody = Buffer.concat([whole, Buffer.from('GET / HTTP/1.1\r\n')])
      expect(parseProxyHeader(withBody)).to.include({ kind: 'header', length: whole.length })
    }
  })

  it('refuses at the first byte that cannot belong to a header', () => {
    for (const text of ['G', 'PROXX', '\r\n\r\nX', 'PROXY TCP5 a b 1 2\r\n', 'PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n']) {
      expect(parseProxyHeader(Buffer.from(text, 'latin1')).kind, text).to.equal('bad')
    }
  })

  it('refuses malformed addresses, ports and lines that do not end', () => {
    for (const line of [
      'PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n',
      'PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n',
      'PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n',
      'PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n',
      'PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n',
      'PROXY TCP6 1.2.3.4 ::1 1 2\r\n',
      'PROXY TCP6 ::1::2 ::1 1 2\r\n',
      'PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n',
      `PROXY TCP4 ${'1'.repeat(200)}`,
    ]) {
      expect(parseProxyHeader(Buffer.from(line)).kind, line).to.equal('bad')
    }
  })

  it('refuses version 2 headers with a wrong version, command, family, length or TLV', () => {
    const good = encodeProxyV2({ command: 'proxy', source, destination, tlvs: [] })
    const changed = (at: number, value: number): Buffer => {
      const copy = Buffer.from(good)
      copy[at] = value
      return copy
    }
    expect(parseProxyHeader(changed(12, 0x11)).kind).to.equal('bad')
    expect(parseProxyHeader(changed(12, 0x22)).kind).to.equal('bad')
    expect(parseProxyHeader(changed(13, 0x41)).kind).to.equal('bad')
    expect(parseProxyHeader(changed(15, 4)).kind).to.equal('bad')
    expect(parseProxyHeader(changed(14, 0xff)).kind, 'longer than the bound').to.equal('bad')
    const tlv = encodeProxyV2({ command: 'proxy', source, destination, tlvs: [{ type: 1, value: Buffer.from('ab') }] })
    tlv[tlv.length - 3] = 9
    expect(parseProxyHeader(tlv).kind, 'TLV past the end').to.equal('bad')
  })

  it('never throws and never asks for more than its bound, whatever the bytes are', () => {
    let seed = 1
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
    const good = encodeProxyV2({ command: 'proxy', source, destination, tlvs })
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(good)
      for (let flips = 0; flips < 3; flips++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      const result = parseProxyHeader(bytes)
      if (result.kind === 'header') expect(result.length).to.be.at.most(bytes.length)
    }
    const endless = Buffer.concat([good.subarray(0, 14), Buffer.alloc(maxProxyV2Bytes)])
    expect(parseProxyHeader(endless).kind).to.not.equal('more')
  })

  it('refuses to write a header longer than the bound', () => {
    const huge = [{ type: 0xe0, value: Buffer.alloc(maxProxyV2Bytes) }]
    expect(() => encodeProxyV2({ command: 'proxy', source, destination, tlvs: huge })).to.throw('allowed 4096')
  })
})
