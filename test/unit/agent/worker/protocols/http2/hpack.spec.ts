import { expect } from 'chai'

import { HpackDecoder, Scratch } from '../../../../../../agent/worker/protocols/http2/hpack/decoder.ts'
import {
  writeField,
  writeStatus,
  writeTableReset,
} from '../../../../../../agent/worker/protocols/http2/hpack/encoder.ts'
import type { Field } from '../../../../../../agent/worker/protocols/http2/hpack/field.ts'
import { huffmanDecode } from '../../../../../../agent/worker/protocols/http2/hpack/huffman.ts'
import { huffmanEncode } from '../../../../../support/http2/huffman.ts'
import { staticFields } from '../../../../../../agent/worker/protocols/http2/hpack/static-table.ts'
import { NameTable } from '../../../../../../agent/worker/protocols/http2/hpack/names.ts'
import { Output } from '../../../../../../agent/worker/transport/output.ts'
import { seededRandom } from '../../../../../support/seeded-random.ts'

function decoder(tableBytes = 4096): HpackDecoder {
  return new HpackDecoder(new NameTable(), new Scratch(), tableBytes)
}

/** `name: value` lines, or null for a block that cannot be decoded. */
function read(hpack: HpackDecoder, block: Buffer | string): string[] | null {
  const bytes = typeof block === 'string' ? Buffer.from(block.replaceAll(' ', ''), 'hex') : block
  const fields: Field[] = []
  const sink = { onField: (field: Field) => fields.push(field) > 0 }
  if (!hpack.decode(bytes, 0, bytes.length, sink)) return null
  return fields.map(({ isNever, name, value }) => `${name}: ${value}${isNever ? ' !' : ''}`)
}

const table = (hpack: HpackDecoder): string[] =>
  hpack.table
    .entries()
    .toReversed()
    .map(({ name, value }) => `${name}: ${value}`)

describe('HPACK', () => {
  it('reads the requests of RFC 7541 appendix C.3 and C.4 with their tables', () => {
    for (const blocks of [
      [
        '828684410f7777772e6578616d706c652e636f6d',
        '828684be58086e6f2d6361636865',
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
      ],
      [
        '828684418cf1e3c2e5f23a6ba0ab90f4ff',
        '828684be5886a8eb10649cbf',
        '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
      ],
    ]) {
      const hpack = decoder()
      expect(read(hpack, blocks[0]!)).to.deep.equal([
        ':method: GET',
        ':scheme: http',
        ':path: /',
        ':authority: www.example.com',
      ])
      expect(read(hpack, blocks[1]!)).to.deep.equal([
        ':method: GET',
        ':scheme: http',
        ':path: /',
        ':authority: www.example.com',
        'cache-control: no-cache',
      ])
      expect(read(hpack, blocks[2]!)).to.deep.equal([
        ':method: GET',
        ':scheme: https',
        ':path: /index.html',
        ':authority: www.example.com',
        'custom-key: custom-value',
      ])
      expect([hpack.table.size, table(hpack)]).to.deep.equal([
        164,
        ['custom-key: custom-value', 'cache-control: no-cache', ':authority: www.example.com'],
      ])
    }
  })

  it('reads the replies of appendix C.5 and C.6, whose table of 256 bytes evicts', () => {
    for (const blocks of [
      [
        '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d',
        '4803333037c1c0bf',
        '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
      ],
      [
        '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
        '4883640effc1c0bf',
        '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
      ],
    ]) {
      const hpack = decoder(256)
      expect(read(hpack, blocks[0]!)![0]).to.equal(':status: 302')
      expect(read(hpack, blocks[1]!)).to.deep.equal([
        ':status: 307',
        'cache-control: private',
        'date: Mon, 21 Oct 2013 20:13:21 GMT',
        'location: https://www.example.com',
      ])
      expect(read(hpack, blocks[2]!)!.at(-1)).to.equal(
        'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
      )
      expect([hpack.table.size, hpack.table.length]).to.deep.equal([215, 3])
    }
  })

  it('keeps in mind what must never be put into a table', () => {
    const hpack = decoder()
    expect(read(hpack, '100870617373776f726406736563726574')).to.deep.equal(['password: secret !'])
    expect(hpack.table.length).to.equal(0)
  })

  it('refuses what is no block', () => {
    for (const [why, block] of [
      ['index 0', '80'],
      ['an index behind the table', 'be'],
      ['a name behind the table', '7f00 0161'],
      ['an integer without an end', 'ffffffffffffff'],
      ['an integer that is too large', 'ffffffffffff0f'],
      ['a string longer than the block', '400a61'],
      ['a block that ends in a string', '4001'],
      ['a table larger than we said', '3fe21f'],
      ['a size behind a field', '8220'],
      ['Huffman padding of eight bits', '00 82 1fff 0161'],
      ['Huffman padding of zeros', '00 81 18 0161'],
      ['the end of string symbol', '00 84 ffffffff 0161'],
    ] as const) {
      expect(read(decoder(), block), why).to.equal(null)
    }
  })

  it('shrinks its table when it is told to, and its version tells who compares', () => {
    const hpack = decoder()
    read(hpack, '400161016240016301 64'.replaceAll(' ', ''))
    const { version } = hpack.table
    expect(read(hpack, '82')).to.deep.equal([':method: GET'])
    expect(hpack.table.version).to.equal(version)
    expect(read(hpack, '20 82')).to.deep.equal([':method: GET'])
    expect([hpack.table.length, hpack.table.version > version]).to.deep.equal([0, true])
  })

  it('unpacks every string that is packed in its code', () => {
    const random = seededRandom(7)
    for (let round = 0; round < 2000; round++) {
      const bytes = Buffer.from(Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256)))
      const packed = Buffer.alloc(200)
      const end = huffmanEncode(bytes.toString('latin1'), packed, 0)
      const back = Buffer.alloc(200)
      const length = huffmanDecode(packed, 0, end, back, 0)
      expect(back.subarray(0, length).equals(bytes), bytes.toString('hex')).to.equal(true)
    }
  })

  it('writes each field of the static table as its index, unless it must never be put into a table', () => {
    for (const [at, [name, value]] of staticFields.entries()) {
      if (value === '') continue
      const out = new Output(64, 0)
      writeField(out, name, value)
      expect([...out.view()], `${name}: ${value}`).to.deep.equal([0x80 | (at + 1)])
      if (name === ':status') {
        out.clear()
        writeStatus(out, Number(value))
        expect([...out.view()], value).to.deep.equal([0x80 | (at + 1)])
      }
      out.clear()
      writeField(out, name, value, true)
      expect(read(decoder(), Buffer.from(out.view()))).to.deep.equal([`${name}: ${value} !`])
    }
  })

  it('writes fields that ask for no table entry, by their index where they have one', () => {
    const output = new Output()
    writeTableReset(output)
    writeStatus(output, 200)
    writeStatus(output, 302)
    writeField(output, ':method', 'GET')
    writeField(output, 'content-type', 'a'.repeat(300))
    writeField(output, 'x-own', 'v')
    writeField(output, 'authorization', 'secret', true)
    const hpack = decoder()
    expect(read(hpack, Buffer.from(output.view()))).to.deep.equal([
      ':status: 200',
      ':status: 302',
      ':method: GET',
      `content-type: ${'a'.repeat(300)}`,
      'x-own: v',
      'authorization: secret !',
    ])
    expect(hpack.table.length).to.equal(0)
  })
})
