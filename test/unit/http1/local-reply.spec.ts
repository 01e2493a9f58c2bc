import { expect } from 'chai'

import { LocalReplies } from '../../../http1/local-reply.ts'
import { readStream } from '../../support/http1/codec-driver.ts'

describe('local replies', () => {
  const replies = new LocalReplies('agent')
  const answer = {
    status: 503,
    code: 'E_BALANCE_NO_ENDPOINT' as const,
    fields: [],
    body: Buffer.from('no endpoint\n'),
  }

  it('carry code, tier and length', () => {
    const text = replies.format(answer, null, false, false, 1).toString('latin1')
    expect(text).to.equal(
      'HTTP/1.1 503 Service Unavailable\r\nx-mesh-error: E_BALANCE_NO_ENDPOINT\r\nx-mesh-tier: agent\r\nContent-Length: 12\r\n\r\nno endpoint\n',
    )
    expect(replies.format(answer, null, false, false, 1).toString('latin1')).to.equal(text)
  })

  it('announce the length to HEAD and send no body', () => {
    expect(replies.format(answer, null, true, false, 1).toString('latin1')).to.match(/Content-Length: 12\r\n\r\n$/)
  })

  it('say how the connection goes on', () => {
    expect(replies.format(answer, null, false, true, 1).toString('latin1')).to.contain('\r\nConnection: close\r\n')
    expect(replies.format(answer, null, false, false, 0).toString('latin1')).to.contain(
      '\r\nConnection: keep-alive\r\n',
    )
    expect(replies.format(answer, null, false, true, 0).toString('latin1')).to.contain('\r\nConnection: close\r\n')
  })

  it('carry the fields of a rule and no error code when a rule asked for them', () => {
    const redirect = { status: 302, code: undefined, fields: [['location', '/b']] as const, body: Buffer.alloc(0) }
    expect(replies.format(redirect, null, false, false, 1).toString('latin1')).to.equal(
      'HTTP/1.1 302 Found\r\nx-mesh-tier: agent\r\nContent-Length: 0\r\nlocation: /b\r\n\r\n',
    )
  })

  it('carry what filters add behind fields of their own, and only for this answer', () => {
    const edits = [
      { fields: [['vary', 'origin']], drop: new Set<string>() },
      { fields: [['x-a', '1']], drop: new Set<string>() },
    ] as const
    const plain = { ...answer, fields: [['content-type', 'text/plain']] as const }
    expect(replies.format(plain, edits, false, false, 1).toString('latin1')).to.contain(
      '\r\ncontent-type: text/plain\r\nvary: origin\r\nx-a: 1\r\n\r\n',
    )
    expect(replies.format(plain, null, false, false, 1).toString('latin1')).to.contain(
      '\r\ncontent-type: text/plain\r\n\r\n',
    )
  })

  it('have no body and no length with 204', () => {
    const empty = { status: 204, code: undefined, fields: [], body: Buffer.from('x') }
    expect(replies.format(empty, null, false, false, 1).toString('latin1')).to.equal(
      'HTTP/1.1 204 No Content\r\nx-mesh-tier: agent\r\n\r\n',
    )
  })

  it('are replies that our own codec reads, also for a status without a name', () => {
    for (const status of [200, 404, 431, 599]) {
      const stream = readStream(replies.format({ ...answer, status }, null, false, false, 1), { isReply: true })
      expect([stream.fault, stream.messages.map((message) => [message.status, message.body])]).to.deep.equal([
        0,
        [[status, 'no endpoint\n']],
      ])
    }
  })
})
