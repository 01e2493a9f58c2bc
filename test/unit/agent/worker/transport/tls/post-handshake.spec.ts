import { expect } from 'chai'

import { PostHandshake } from '../../../../../../agent/worker/transport/tls/post-handshake.ts'

const ticketOf = (length: number): Buffer => {
  const message = Buffer.alloc(4 + length, 7)
  message.writeUInt32BE((4 << 24) | length)
  return message
}

describe('messages behind the handshake', () => {
  it('that come byte by byte are put together in memory that grows, not copied anew with each byte', () => {
    const messages = new PostHandshake('client')
    const ticket = ticketOf(60_000)
    const memories = new Set<ArrayBufferLike>()
    for (let at = 0; at < ticket.length - 1; at++) {
      expect(messages.take(ticket.subarray(at, at + 1))).to.equal(null)
      memories.add(messages.partial.buffer)
    }
    expect(messages.partial.equals(ticket.subarray(0, -1))).to.equal(true)
    expect(memories.size).to.be.lessThan(20)
    // its end, and the beginning of the next one
    expect(messages.take(Buffer.concat([ticket.subarray(-1), ticketOf(9).subarray(0, 5)]))).to.equal(null)
    expect(messages.partial.equals(ticketOf(9).subarray(0, 5))).to.equal(true)
    expect(messages.take(ticketOf(9).subarray(5))).to.equal(null)
    expect([messages.isAmidMessage, messages.partial.length]).to.deep.equal([false, 0])
  })
})
