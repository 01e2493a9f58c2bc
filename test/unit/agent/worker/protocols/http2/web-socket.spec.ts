import { expect } from 'chai'

import { SwitchReply } from '../../../../../../agent/worker/protocols/http2/web-socket.ts'
import { PlainReply } from '../../../../../support/plain-messages.ts'

const fieldsOf = (reply: SwitchReply): string[] => {
  const found: string[] = []
  reply.eachField((name, value) => found.push(`${name}: ${value}`))
  return found
}

describe('the reply of an endpoint of HTTP/2 that took a WebSocket', () => {
  const endpoint = new PlainReply({
    status: 200,
    fields: [
      ['sec-websocket-protocol', 'chat'],
      ['sec-websocket-accept', 'of its own'],
    ],
  })

  it('has one accept, to the key of the caller (RFC 6455 section 1.3)', () => {
    expect(fieldsOf(new SwitchReply(endpoint, 'dGhlIHNhbXBsZSBub25jZQ=='))).to.deep.equal([
      'sec-websocket-protocol: chat',
      'upgrade: websocket',
      'connection: upgrade',
      'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    ])
  })

  it('passes as it is to a caller that has no key', () => {
    expect(fieldsOf(new SwitchReply(endpoint, undefined))).to.have.length(2)
  })
})
