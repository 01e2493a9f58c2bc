import { expect } from 'chai'
import { groupsIn } from '../../../../../agent/control/telemetry/receiver.ts'
import { maxBlockBytes, RecordBlock } from '../../../../../agent/control/telemetry/record-block.ts'
import { putWhole } from '../../../../../agent/control/telemetry/short-records.ts'
import { shortHeadBytes } from '../../../../../contracts/telemetry.ts'
import { seededRandom } from '../../../../support/seeded-random.ts'
import { shortGroup } from '../../../../support/otlp/short-groups.ts'

const head = (sharedAt: number, sharedLength: number, ownLength: number): Buffer => {
  const bytes = Buffer.alloc(shortHeadBytes)
  bytes.writeUInt32BE(sharedAt)
  bytes.writeUInt32BE(sharedLength, 4)
  bytes.writeUInt32BE(ownLength, 8)
  return bytes
}
const text = (value: string): Buffer => Buffer.from(value)
/** The first brings `same`, the second shares it, the third shares nothing. */
const three = Buffer.concat([
  head(shortHeadBytes, 4, 1),
  text('same'),
  text('1'),
  head(shortHeadBytes, 4, 2),
  text('22'),
  head(0, 0, 3),
  text('333'),
])

describe('records in short form', () => {
  it('become whole: tag, length, what is shared, what is their own', () => {
    const memory = Buffer.alloc(64)
    const end = putWhole(memory, 1, three)
    expect(memory.subarray(0, end).toString('latin1')).to.equal(
      '\u0000\u0012\u0085\u0080\u0000same1\u0012\u0086\u0080\u0000same22\u0012\u0083\u0080\u0000333',
    )
    const block = new RecordBlock()
    expect(block.add({ service: 'shop', count: 3, length: end - 1, bytes: three })).to.equal(true)
    expect(block.groups[0]!.bytes.equals(memory.subarray(1, end))).to.equal(true)
  })

  it('that do not fit together are told apart, and leave a block as it was', () => {
    const block = new RecordBlock()
    block.add(shortGroup('shop', [text('first')]))
    const { length } = block
    const broken: [Buffer, RegExp][] = [
      [three.subarray(0, 5), /without its head/],
      [three.subarray(0, three.length - 1), /longer than its group/],
      [head(0xffff_fff0, 4, 0), /longer than its group/],
      [head(0, 0, 0xffff_ffff), /longer than its group/],
      [three.subarray(0, 2 * shortHeadBytes), /without its head/],
      [three, /records of 26 bytes, 27 were announced/],
    ]
    for (const [bytes, said] of broken)
      expect(() => block.add({ service: 'shop', count: 1, length: 27, bytes })).to.throw(RangeError, said)
    // a short frame may not grow into more than one request: each of these has 40,000 bytes
    const shared = Buffer.alloc(40_000)
    const many = Array.from({ length: 30 }, () => head(shortHeadBytes, shared.length, 0))
    const bytes = Buffer.concat([many[0]!, shared, ...many.slice(1)])
    const small = Buffer.alloc(maxBlockBytes)
    expect(() => putWhole(small, 0, bytes)).to.throw(RangeError, /there is no room/)
    expect(block.length).to.equal(length)
    expect(block.count).to.equal(1)
  })

  it('a group that says it is larger than a request is refused before anything is copied', () => {
    const group = Buffer.from([1, 0x61, 0, 0, 0, 1, 0, 0x10, 0, 1, 0, 0, 0, 0])
    expect(() => groupsIn(Buffer.from([1, ...group]))).to.throw(RangeError, /records of 1048577 bytes/)
  })

  it('any bytes are read or refused', () => {
    const random = seededRandom(95)
    const memory = Buffer.alloc(4096)
    let read = 0
    for (let round = 0; round < 5000; round++) {
      const bytes = Buffer.from(three)
      for (let change = 0; change < 2; change++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      try {
        expect(putWhole(memory, 0, bytes)).to.be.within(0, memory.length)
        read++
      } catch (error) {
        expect(error).to.be.instanceOf(RangeError)
      }
    }
    expect(read).to.be.above(100)
  })
})
