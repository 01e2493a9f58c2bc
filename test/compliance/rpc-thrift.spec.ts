import { expect } from 'chai'
import { FrameFault, RpcFrame } from '../../rpc/frame.ts'
import { ThriftCodec } from '../../rpc/thrift/thrift.ts'
import { binaryMessage, compactMessage, headerFrame, thriftFrame } from '../support/rpc/thrift-frames.ts'
import { describeRpcCodec } from './rpc-codec.ts'

const codec = new ThriftCodec()
const content = Buffer.from([0x0b, 0, 1, 0, 0, 0, 2, 0x68, 0x69, 0])
const zone = [['zone', 'blue']] as const

function changed(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes)
  change(copy)
  return copy
}

const binary = (type: number, method: string, id: number): Buffer =>
  thriftFrame(binaryMessage(type, method, id, content))
const good = binary(1, 'shop.Orders:place', 7)
describeRpcCodec('thrift, binary', {
  codec,
  request: (service, method) => binary(1, `${service}:${method}`, 7),
  reply: (id) => binary(2, 'place', id),
  failedReply: (id) => binary(3, 'place', id),
  oneWay: binary(4, 'note', 3),
  heartbeat: null,
  hasAttributes: false,
  withLength: (value) => changed(good, (bytes) => bytes.writeInt32BE(value, 0)),
  broken: [
    ['the old form without a version', changed(good, (bytes) => (bytes[4] = 0)), FrameFault.magic],
    ['an unknown type', changed(good, (bytes) => (bytes[7] = 9)), FrameFault.type],
    ['a name longer than its frame', changed(good, (bytes) => bytes.writeInt32BE(5000, 8)), FrameFault.length],
    ['a name of length -1', changed(good, (bytes) => bytes.writeInt32BE(-1, 8)), FrameFault.length],
  ],
})

const header = (type: number, method: string, id: number): Buffer =>
  headerFrame(id, 0, zone, binaryMessage(type, method, 1, content))
const goodHeader = header(1, 'shop.Orders:place', 7)
describeRpcCodec('thrift, THeader', {
  codec,
  request: (service, method) => header(1, `${service}:${method}`, 7),
  reply: (id) => header(2, 'place', id),
  failedReply: (id) => header(3, 'place', id),
  oneWay: header(4, 'note', 3),
  heartbeat: null,
  hasAttributes: false,
  withLength: (value) => changed(goodHeader, (bytes) => bytes.writeInt32BE(value, 0)),
  broken: [
    ['a header longer than its frame', changed(goodHeader, (bytes) => bytes.writeUInt16BE(5000, 12)), FrameFault.table],
    ['a pair longer than its header', changed(goodHeader, (bytes) => (bytes[18] = 0x7f)), FrameFault.table],
    ['what is compressed', changed(goodHeader, (bytes) => ((bytes[15] = 1), (bytes[16] = 1))), FrameFault.version],
    ['too many pairs', changed(goodHeader, (bytes) => bytes.writeUInt16BE(0xff_7f, 17)), FrameFault.string],
  ],
})

const compact = (type: number, method: string, id: number): Buffer =>
  headerFrame(id, 2, zone, compactMessage(type, method, 1, content))
const goodCompact = compact(1, 'shop.Orders:place', 7)
describeRpcCodec('thrift, THeader with the compact protocol', {
  codec,
  request: (service, method) =>
    method.length > 100 ? header(1, `${service}:${method}`, 7) : compact(1, `${service}:${method}`, 7),
  reply: (id) => compact(2, 'place', id),
  failedReply: (id) => compact(3, 'place', id),
  oneWay: compact(4, 'note', 3),
  heartbeat: null,
  hasAttributes: false,
  withLength: (value) => changed(goodCompact, (bytes) => bytes.writeInt32BE(value, 0)),
  broken: [],
})

const bare = (type: number, method: string, id: number): Buffer =>
  thriftFrame(compactMessage(type, method, id, content))
const goodBare = bare(1, 'shop.Orders:place', 7)
describeRpcCodec('thrift, compact', {
  codec,
  request: (service, method) =>
    method.length > 100 ? binary(1, `${service}:${method}`, 7) : bare(1, `${service}:${method}`, 7),
  reply: (id) => bare(2, 'place', id),
  failedReply: (id) => bare(3, 'place', id),
  oneWay: bare(4, 'note', 3),
  heartbeat: null,
  hasAttributes: false,
  withLength: (value) => changed(goodBare, (bytes) => bytes.writeInt32BE(value, 0)),
  broken: [
    ['another version', changed(goodBare, (bytes) => (bytes[5] = 0x22)), FrameFault.magic],
    ['an unknown type', changed(goodBare, (bytes) => (bytes[5] = 0xe1)), FrameFault.type],
    ['a name longer than its frame', changed(goodBare, (bytes) => (bytes[7] = 0x7f)), FrameFault.length],
    [
      'an id without an end',
      thriftFrame(Buffer.from([0x82, 0x21, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01])),
      FrameFault.length,
    ],
  ],
})

describe('THeader', () => {
  it('has pairs that rules see', () => {
    for (const bytes of [goodHeader, goodCompact]) {
      const frame = new RpcFrame()
      expect(codec.read(bytes, 0, bytes.length, frame)).to.equal(0)
      expect(codec.attribute(bytes, 0, frame, 'zone')).to.equal('blue')
      expect(codec.attribute(bytes, 0, frame, 'absent')).to.equal(undefined)
    }
  })
})
