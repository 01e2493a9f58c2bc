import { expect } from 'chai'
import type { RpcDescription } from '../../contracts/rpc-description.ts'
import { DeclaredCodec } from '../../rpc/declared/declared.ts'
import { descriptionProblems } from '../../rpc/declared/problems.ts'
import { writeNumber } from '../../rpc/declared/number.ts'
import { FrameFault, RpcFrame } from '../../rpc/frame.ts'
import { mainstayDescription, mainstayFrame, mainstayRequest, mainstayTable } from '../support/rpc/mainstay.ts'
import type { CodecSamples } from './rpc-codec.ts'
import { describeRpcCodec } from './rpc-codec.ts'

const description = mainstayDescription()
const content = Buffer.from('whatever they send')
const request = (service: string, method: string): Buffer =>
  mainstayRequest(service, method, { content, attributes: [['Zone', 'blue']] })

function changed(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes)
  change(copy)
  return copy
}

const good = request('shop.Orders', 'place')
const mainstay: CodecSamples = {
  codec: new DeclaredCodec('mainstay', description),
  request,
  reply: (id) => mainstayFrame({ type: 3, id, content }),
  failedReply: (id) => mainstayFrame({ type: 3, id, status: 9 }),
  oneWay: mainstayRequest('shop.Orders', 'place', { type: 2 }),
  heartbeat: mainstayFrame({ type: 4 }),
  hasAttributes: true,
  withLength: (value) => changed(good, (bytes) => bytes.writeInt32BE(value, 24)),
  broken: [
    ['another magic', changed(good, (bytes) => (bytes[1] = 0x58)), FrameFault.magic],
    ['an unknown version', changed(good, (bytes) => (bytes[2] = 2)), FrameFault.version],
    ['an unknown type', changed(good, (bytes) => (bytes[3] = 9)), FrameFault.type],
    ['a table longer than its frame', changed(good, (bytes) => bytes.writeUInt16BE(60_000, 18)), FrameFault.table],
    ['a table that is cut', mainstayFrame({ table: mainstayTable([['a', 'b']]).subarray(0, 4) }), FrameFault.table],
    ['a name longer than its table', mainstayFrame({ table: Buffer.from([200, 0x61]) }), FrameFault.table],
    [
      'too many attributes',
      mainstayFrame({ table: mainstayTable(Array.from({ length: 257 }, (_, at) => [`a${at}`, ''] as const)) }),
      FrameFault.string,
    ],
  ],
}
describeRpcCodec('described, mainstay', mainstay)

/** Another one: little-endian, a length of the whole frame, flags in place of a type, an id of 2 bytes. */
const small: RpcDescription = {
  magic: 'f00d',
  byteOrder: 'little',
  headBytes: 16,
  length: { at: 2, bytes: 4, counts: 'frame' },
  id: { at: 6, bytes: 2 },
  type: { at: 8, bytes: 1, mask: 0xe0, request: 0xc0, oneWay: 0x80, reply: 0, heartbeat: 0xe0, heartbeatReply: 0x20 },
  status: { at: 9, bytes: 1, ok: [20], error: 70, http: { 100: 503 } },
  attributes: {
    length: { at: 10, bytes: 3 },
    nameLengthBytes: 2,
    valueLengthBytes: 4,
    service: 'S',
    method: 'M',
    timeout: 'T',
    errorCode: 'code',
    errorReason: 'why',
  },
}

function smallFrame(type: number, id: number, status: number, attributes: readonly (readonly [string, string])[]) {
  const parts = attributes.flatMap(([name, value]) => {
    const lengths = [Buffer.alloc(2), Buffer.alloc(4)]
    lengths[0]!.writeUInt16LE(Buffer.byteLength(name))
    lengths[1]!.writeUInt32LE(Buffer.byteLength(value))
    return [lengths[0]!, Buffer.from(name), lengths[1]!, Buffer.from(value)]
  })
  const table = Buffer.concat(parts)
  const frame = Buffer.concat([Buffer.alloc(16), table, content])
  frame.writeUInt16BE(0xf0_0d, 0)
  frame.writeUInt32LE(frame.length, 2)
  frame.writeUInt16LE(id, 6)
  frame[8] = type | 2
  frame[9] = status
  writeNumber(frame, table.length, 10, 3, true)
  return frame
}

const smallRequest = (service: string, method: string): Buffer =>
  smallFrame(0xc0, 7, 0, [
    ['s', service],
    ['zone', 'blue'],
    ['m', method],
    ['t', '250'],
  ])
const smallGood = smallRequest('shop.Orders', 'place')
describeRpcCodec('described, of flags, little-endian', {
  codec: new DeclaredCodec('small', small),
  request: smallRequest,
  reply: (id) => smallFrame(0, id, 20, []),
  failedReply: (id) => smallFrame(0, id, 70, []),
  oneWay: smallFrame(0x80, 1, 0, []),
  heartbeat: smallFrame(0xe0, 3, 0, []),
  hasAttributes: true,
  withLength: (value) => changed(smallGood, (bytes) => bytes.writeInt32LE(value, 2)),
  broken: [['a length below its head', changed(smallGood, (bytes) => bytes.writeUInt32LE(15, 2)), FrameFault.length]],
})

describe('a described codec', () => {
  it('reads time-outs from the head or from an attribute', () => {
    const frame = new RpcFrame()
    const timed = mainstayRequest('a', 'b', { timeoutMs: 1234 })
    mainstay.codec.read(timed, 0, timed.length, frame)
    expect(frame.timeoutMs).to.equal(1234)
    new DeclaredCodec('small', small).read(smallGood, 0, smallGood.length, frame)
    expect(frame.timeoutMs).to.equal(250)
  })

  it('keeps all 64 bits of an id', () => {
    const bytes = Buffer.from(good)
    bytes.writeBigUInt64BE(0x0123_4567_89ab_cdefn, 4)
    const frame = new RpcFrame()
    mainstay.codec.read(bytes, 0, bytes.length, frame)
    expect([frame.idHigh, frame.idLow]).to.deep.equal([0x0123_4567, 0x89ab_cdef])
    const copy = Buffer.from(bytes)
    mainstay.codec.writeId(copy, 0, copy.length, frame, 0, 5)
    mainstay.codec.writeId(copy, 0, copy.length, frame, frame.idHigh, frame.idLow)
    expect(copy.equals(bytes)).to.equal(true)
  })

  it('says what a bad description lacks', () => {
    const said = (more: Partial<RpcDescription>): string[] =>
      descriptionProblems({ ...description, ...more }).map(({ message, path }) => `${path.join('.')}: ${message}`)
    expect(said({})).to.deep.equal([])
    expect(said({ id: { at: 24, bytes: 8 } })).to.deep.equal(['id: found bytes 24 to 31, allowed 0 to 27, the head'])
    expect(said({ id: { at: 3, bytes: 8 } })).to.deep.equal(['type: overlaps id'])
    expect(said({ version: { at: 1, bytes: 1, values: [1] } })).to.deep.equal(['version: overlaps magic'])
    expect(said({ type: { ...description.type, reply: 1 } })).to.deep.equal([
      'type.reply: found 1, which is request already',
    ])
    expect(said({ type: { ...description.type, mask: 6 } })).to.include(
      'type.request: found 1, which has bits outside the mask 6',
    )
    expect(said({ type: { ...description.type, heartbeatReply: undefined } })).to.deep.equal([
      'type.heartbeat: needs heartbeatReply, with which it is answered',
    ])
    expect(said({ status: { ...description.status, error: 0 } })).to.deep.equal([
      'status.error: found 0, which is ok already',
    ])
  })
})
