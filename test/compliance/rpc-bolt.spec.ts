import { crc32 } from 'node:zlib'
import { expect } from 'chai'
import { BoltCodec } from '../../rpc/bolt/bolt.ts'
import { FrameFault, RpcFrame } from '../../rpc/frame.ts'
import { boltFrame, boltRequest, stringTable } from '../support/rpc/bolt-frames.ts'
import type { BoltParts } from '../support/rpc/bolt-frames.ts'
import { describeRpcCodec } from './rpc-codec.ts'

const content = Buffer.from('the arguments, whatever they are')

function changed(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes)
  change(copy)
  return copy
}

function samples(form: Pick<BoltParts, 'version' | 'crc'>) {
  const zone = { ...form, attributes: [['Zone', 'blue']], content } as const
  const shift = form.version === 2 ? 2 : 0
  const request = (service: string, method: string): Buffer => boltRequest(service, method, zone)
  const table = (bytes: Buffer): Buffer => boltFrame({ ...form, table: bytes })
  const good = request('shop.Orders', 'place')
  return {
    codec: new BoltCodec(),
    request,
    reply: (id: number) => boltFrame({ ...form, type: 0, id, content }),
    failedReply: (id: number) => boltFrame({ ...form, type: 0, id, status: 4 }),
    oneWay: boltRequest('shop.Orders', 'place', { ...zone, type: 2 }),
    heartbeat: boltFrame({ ...form, crc: false, command: 0, className: '' }),
    // A checksum covers the whole frame, so attributes of such frames are left alone.
    hasAttributes: form.crc !== true,
    withLength: (value: number) => changed(good, (bytes) => bytes.writeInt32BE(value, 18 + shift)),
    broken: [
      ['an unknown protocol', changed(good, (bytes) => (bytes[0] = 3)), FrameFault.magic],
      ['an unknown type', changed(good, (bytes) => (bytes[form.version === 2 ? 2 : 1] = 3)), FrameFault.type],
      ['an unknown command', boltFrame({ ...form, command: 9 }), FrameFault.type],
      [
        'a negative length of its table',
        changed(good, (bytes) => bytes.writeInt16BE(-1, 16 + shift)),
        FrameFault.length,
      ],
      ['a table that is cut', table(stringTable([['a', 'b']]).subarray(0, 9)), FrameFault.table],
      ['a table of half a length', table(Buffer.from([0, 0])), FrameFault.table],
      ['a string longer than its table', table(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])), FrameFault.table],
      ['a string of length -2', table(Buffer.from([0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0])), FrameFault.table],
      [
        'too many attributes',
        table(stringTable(Array.from({ length: 257 }, (_, at) => [`a${at}`, ''] as const))),
        FrameFault.string,
      ],
    ] as const,
  }
}

describeRpcCodec('bolt, version 1', samples({ version: 1 }))
describeRpcCodec('bolt, version 2', samples({ version: 2 }))
describeRpcCodec('bolt, version 2 with checksums', samples({ version: 2, crc: true }))

describe('the checksum of Bolt', () => {
  const codec = new BoltCodec()

  it('is right behind another id, whatever the length', () => {
    for (const length of [0, 1, 3, 4, 5, 255, 256, 4097, 100_000]) {
      const bytes = boltRequest('shop.Orders', 'place', { version: 2, crc: true, content: Buffer.alloc(length, 7) })
      const frame = new RpcFrame()
      codec.read(bytes, 0, bytes.length, frame)
      codec.writeId(bytes, 0, bytes.length, frame, 0, 0x12_34_56_78)
      expect(bytes.readUInt32BE(bytes.length - 4)).to.equal(crc32(bytes.subarray(0, -4)))
    }
  })

  it('stays wrong where the frame came broken', () => {
    const bytes = boltRequest('shop.Orders', 'place', { version: 2, crc: true, content })
    bytes[bytes.length - 10]! ^= 1
    const frame = new RpcFrame()
    codec.read(bytes, 0, bytes.length, frame)
    codec.writeId(bytes, 0, bytes.length, frame, 0, 99)
    expect(bytes.readUInt32BE(bytes.length - 4)).to.not.equal(crc32(bytes.subarray(0, -4)))
  })
})
