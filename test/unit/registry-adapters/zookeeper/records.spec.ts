import { expect } from 'chai'
import { RecordReader, RecordWriter } from '../../../../registry-adapters/zookeeper/records.ts'

describe('records of ZooKeeper', () => {
  it('are read as they were written', () => {
    const frame = new RecordWriter()
      .int(-7)
      .long(-(2n ** 40n))
      .bool(true)
      .text('ü')
      .bytes(Buffer.from([1, 2]))
      .frame()
    expect(frame.readInt32BE(0)).to.equal(frame.length - 4)
    const reader = new RecordReader(frame, 4)
    expect([reader.int(), reader.long(), reader.bool(), reader.text()]).to.deep.equal([-7, -(2n ** 40n), true, 'ü'])
    expect([...reader.bytes()]).to.deep.equal([1, 2])
    expect(reader.left).to.equal(0)
  })

  const lengths = [-2, 5, 2 ** 31 - 1, -(2 ** 31)]
  for (const length of lengths)
    it(`refuse a length of ${length} with four bytes left`, () => {
      const frame = new RecordWriter().int(length).int(0).frame()
      expect(() => new RecordReader(frame, 4).bytes()).to.throw(RangeError)
      expect(() => new RecordReader(frame, 4).texts(10)).to.throw(RangeError)
    })

  it('that end too early are refused, at every byte', () => {
    const whole = new RecordWriter().int(2).text('ab').text('c').frame().subarray(4)
    for (let end = 0; end < whole.length; end++)
      expect(() => new RecordReader(whole.subarray(0, end)).texts(10), `${end} bytes`).to.throw(RangeError)
    expect(new RecordReader(whole).texts(10)).to.deep.equal(['ab', 'c'])
    expect(new RecordReader(whole).texts(1)).to.deep.equal(['ab'])
  })
})
