import { expect } from 'chai'
import { DubboCodec } from '../../rpc/dubbo/dubbo.ts'
import { FrameFault, FrameKind, RpcFrame } from '../../rpc/frame.ts'
import { dubboFrame, dubboReply, dubboRequest, hessianText } from '../support/rpc/dubbo-frames.ts'
import { describeRpcCodec } from './rpc-codec.ts'

const codec = new DubboCodec()
const attachments = [['Zone', 'blue']] as const
const request = (service: string, method: string): Buffer => dubboRequest(service, method, { attachments })
const good = request('shop.Orders', 'place')

function changed(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes)
  change(copy)
  return copy
}

describeRpcCodec('dubbo', {
  codec,
  request,
  reply: (id) => dubboReply(id, 'done'),
  failedReply: (id) => dubboReply(id, 'no', 70),
  oneWay: dubboRequest('shop.Orders', 'note', { flags: 0x82 }),
  heartbeat: dubboFrame({ flags: 0xe2, body: Buffer.from('N') }),
  hasAttributes: true,
  withLength: (value) => changed(good, (bytes) => bytes.writeInt32BE(value, 12)),
  broken: [
    ['another magic', changed(good, (bytes) => (bytes[1] = 0xbc)), FrameFault.magic],
    ['a body that ends within a name', dubboFrame({ body: Buffer.from([5, 0x32]) }), FrameFault.string],
    ['a body that is no Hessian', dubboFrame({ body: Buffer.from([0xff, 0xff, 0xff]) }), FrameFault.string],
  ],
})

describe('the attachments of Dubbo', () => {
  const zone = (types: string, argumentBytes: readonly number[] | Buffer): string | undefined => {
    const bytes = dubboRequest('a.B', 'c', { types, arguments: Buffer.from(argumentBytes), attachments })
    const frame = new RpcFrame()
    expect(codec.read(bytes, 0, bytes.length, frame)).to.equal(0)
    expect(bytes.toString('utf8', frame.methodFrom, frame.methodTo)).to.equal('c')
    return codec.attribute(bytes, 0, frame, 'zone')
  }
  const many = (count: number, bytes: readonly number[]): number[] => Array.from({ length: count }, () => bytes).flat()

  for (const [what, types, bytes] of [
    ['no arguments', '', []],
    ['numbers of every width', 'IJDZI', [0x90, 0x4c, 0, 0, 0, 0, 0, 0, 0, 1, 0x5b, 0x54, 0x49, 1, 2, 3, 4]],
    ['null', 'Ljava/lang/Object;', [0x4e]],
    ['bytes in pieces', '[B', [0x41, 0, 2, 1, 2, 0x21, 9]],
    ['a long text in pieces', 'Ljava/lang/String;', [0x52, 0, 2, 0x61, 0xc3, 0xa9, 0x01, 0x62]],
    ['a list', 'Ljava/util/List;', [0x7a, 0x91, 0x01, 0x61]],
    ['a typed list', '[I', [0x72, 0x04, 0x5b, 0x69, 0x6e, 0x74, 0x91, 0x92]],
    ['a map', 'Ljava/util/Map;', [0x48, 0x01, 0x61, 0x91, 0x5a]],
    ['an object, with its class', 'Lshop/Order;', [0x43, 0x01, 0x4f, 0x91, 0x01, 0x69, 0x60, 0x91]],
    ['a reference', 'Lshop/Order;', [0x51, 0x91]],
  ] as const) {
    it(`are found behind ${what}`, () => expect(zone(types, bytes)).to.equal('blue'))
  }

  for (const [what, types, bytes] of [
    ['lists in lists without end', 'Ljava/util/List;', many(40, [0x79])],
    ['more values than anybody reads', 'Ljava/util/List;', [0x58, 0x49, 0x7f, 0xff, 0xff, 0xff, ...many(5000, [0x91])]],
    ['an object of a class that nobody defined', 'Lshop/Order;', [0x65]],
    ['types that are none', 'Q', [0x4e]],
  ] as const) {
    it(`are left alone behind ${what}, and the call is still known`, () => {
      expect(zone(types, bytes)).to.equal(undefined)
    })
  }

  it('say the time-out of the call', () => {
    const bytes = dubboRequest('a.B', 'c', { attachments: [['timeout', '750']] })
    const frame = new RpcFrame()
    codec.read(bytes, 0, bytes.length, frame)
    expect(frame.timeoutMs).to.equal(750)
  })

  it('are not looked for in another serialization, whose requests pass all the same', () => {
    const bytes = dubboFrame({ flags: 0xd7, body: Buffer.from([0, 0, 0, 1, 0x55]) })
    const frame = new RpcFrame()
    expect(codec.read(bytes, 0, bytes.length, frame)).to.equal(0)
    expect([frame.kind, frame.serviceTo]).to.deep.equal([FrameKind.request, 0])
    expect(hessianText('x'.repeat(2000)).length).to.equal(2003)
  })
})
