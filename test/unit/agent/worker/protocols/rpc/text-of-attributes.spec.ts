import { expect } from 'chai'
import { requestEdits, replyEdits } from '../../../../../../agent/worker/protocols/rpc/edits.ts'
import { RpcReply } from '../../../../../../agent/worker/protocols/rpc/reply-message.ts'
import { RpcRequest } from '../../../../../../agent/worker/protocols/rpc/request-message.ts'
import { RpcNames } from '../../../../../../agent/worker/protocols/rpc/rpc-names.ts'
import { addedFields, compileHeaderEdits } from '../../../../../../agent/worker/route/header-edits.ts'
import { fieldMatcher } from '../../../../../../agent/worker/route/string-match.ts'
import { wireText } from '../../../../../../contracts/wire-text.ts'
import { BoltCodec } from '../../../../../../rpc/bolt/bolt.ts'
import { RpcFrame } from '../../../../../../rpc/frame.ts'
import { HeldBudget } from '../../../../../../rpc/held-budget.ts'
import { boltFrame } from '../../../../../support/rpc/bolt-frames.ts'

const codec = new BoltCodec()
const attributes = [['dept', '张三']] as const

function fieldsOf(message: RpcRequest | RpcReply): [string, string][] {
  const fields: [string, string][] = []
  message.eachField((name, value) => fields.push([name, value]))
  return fields
}

describe('attributes of private RPC outside ASCII', () => {
  it('are to rules what fields of HTTP are: their UTF-8 bytes, in requests and replies', () => {
    const asked = boltFrame({ attributes })
    const frame = new RpcFrame()
    expect(codec.read(asked, 0, asked.length, frame)).to.equal(0)
    const request = new RpcRequest(codec, new RpcNames(), new HeldBudget(1_000_000))
    request.take(codec, asked, 0, asked.length, frame)
    expect(fieldMatcher({ exact: '张三' }).test(request.headerValues('dept')!)).to.equal(true)
    expect(fieldMatcher({ regex: '[张李].' }).test(request.header('dept')!)).to.equal(true)
    expect(fieldsOf(request)).to.deep.include(['dept', wireText('张三')])

    const answered = boltFrame({ type: 0, attributes })
    const reply = new RpcReply(codec)
    expect(codec.read(answered, 0, answered.length, reply.wire.frame)).to.equal(0)
    reply.wire.bytes = answered
    reply.wire.to = answered.length
    expect(reply.header('dept')).to.equal(wireText('张三'))
    expect(reply.header('other')).to.equal(undefined)
    expect(fieldsOf(reply)).to.deep.include(['dept', wireText('张三')])
  })

  it('are written as the text that a rule or a filter means', () => {
    const edits = compileHeaderEdits({ set: [['dept', '张三']], add: [], remove: [] })
    const none = {
      route: null,
      destination: null,
      target: null,
      authority: null,
      source: '',
      trace: null,
      requestId: null,
      grpcTimeout: null,
      keepsAsks: false,
    }
    for (const where of ['route', 'destination'])
      expect(requestEdits({ ...none, [where]: edits }, false)!.add, where).to.deep.equal([['dept', '张三']])
    expect(replyEdits(addedFields([['dept', wireText('张三')]]))!.add).to.deep.equal([['dept', '张三']])
  })
})
