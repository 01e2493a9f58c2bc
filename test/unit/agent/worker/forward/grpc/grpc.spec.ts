import { expect } from 'chai'

import { grpcAnswer, brokenTrailers, statusOfAnswer } from '../../../../../../agent/worker/forward/grpc/answer.ts'
import { GrpcCall, isGrpcType, readPushback } from '../../../../../../agent/worker/forward/grpc/call.ts'
import { MessageCount } from '../../../../../../agent/worker/forward/grpc/message-count.ts'
import { httpStatusOf, readGrpcStatus, writeGrpcMessage } from '../../../../../../agent/worker/forward/grpc/status.ts'
import { readGrpcTimeout, writeGrpcTimeout } from '../../../../../../agent/worker/forward/grpc/timeout.ts'
import { givenUp } from '../../../../../../agent/worker/forward/streams.ts'
import { errorAnswer } from '../../../../../../agent/worker/forward/own-answers.ts'
import { Outcome } from '../../../../../../agent/worker/forward/streams.ts'
import { PlainReply, PlainRequest } from '../../../../../support/plain-messages.ts'
import { seededRandom } from '../../../../../support/seeded-random.ts'

const call = (fields: readonly (readonly [string, string])[] = [], type = 'application/grpc'): GrpcCall => {
  const made = new GrpcCall()
  made.begin(new PlainRequest({ method: 'POST', fields: [['content-type', type], ...fields] }), 1000)
  return made
}

describe('gRPC', () => {
  it('is what says so in its content-type, with any codec, and gRPC-Web is something else', () => {
    for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;a=b', 'Application/gRPC+json'])
      expect(isGrpcType(type), type).to.equal(true)
    for (const type of ['', 'application/grpc-web', 'application/grpc-web+proto', 'text/application/grpc'])
      expect(isGrpcType(type), type).to.equal(false)
  })

  it('has time-outs in six units; what is none is no deadline', () => {
    const cases = { '1H': 3_600_000, '2M': 120_000, '3S': 3000, '4m': 4, '5u': 0.005, '0S': 0, '10000000H': 3.6e13 }
    for (const [text, ms] of Object.entries(cases)) expect(readGrpcTimeout(text), text).to.be.closeTo(ms, 1e-6)
    for (const text of [undefined, '', 'S', '1', '-1S', '1.5S', '1s', ' 1S', '123456789S'])
      expect(readGrpcTimeout(text), String(text)).to.equal(-1)
  })

  it('is told never more time than is left, in at most eight digits, and never none', () => {
    const cases = [-5, 0, 0.0001, 0.4, 1, 1.9, 1500, 99_999_999, 1e8, 3.6e14]
    for (const ms of cases) {
      const text = writeGrpcTimeout(ms)
      expect(text, String(ms)).to.match(/^[1-9]\d{0,7}[HSmu]$/)
      expect(readGrpcTimeout(text), String(ms)).to.be.at.most(Math.max(ms, 0.001)).and.above(0)
    }
  })

  it('shrinks its deadline by the time that passed, to the route and to the try', () => {
    const made = call([['grpc-timeout', '5S']])
    expect([made.deadline, made.timeLeft(1200, 0), made.timeLeft(1200, 100)]).to.deep.equal([6000, '4800m', '100m'])
    made.boundBy(2000)
    made.boundBy(4000)
    expect(made.timeLeft(1200, 0)).to.equal('800m')
    expect([call().timeLeft(1200, 0), call([['grpc-timeout', 'x']]).timeLeft(0, 0)]).to.deep.equal([null, null])
  })

  it('counts messages wherever they are cut', () => {
    const random = seededRandom(7)
    const message = (length: number): Buffer => {
      const bytes = Buffer.alloc(5 + length, 0xff)
      bytes[0] = length % 2
      bytes.writeUInt32BE(length, 1)
      return bytes
    }
    const lengths = [0, 1, 70_000, 0, 0, 3, 256, 16_777_216, 5]
    const all = Buffer.concat(lengths.map(message))
    for (let round = 0; round < 5; round++) {
      const count = new MessageCount()
      for (let at = 0; at < all.length;) {
        const to = Math.min(all.length, at + 1 + Math.floor(random() * (round === 0 ? 4000 : 3_000_000)))
        count.take(all, at, to)
        at = to
      }
      expect(count.count).to.equal(lengths.length)
    }
  })

  it('gets our errors as a status and a message that can be said', () => {
    const expected = [
      [503, 'E_BALANCE_NO_ENDPOINT', 'UH', 14],
      [504, 'E_UPSTREAM_TIMEOUT', 'UT', 4],
      [408, 'E_DOWNSTREAM_TIMEOUT', 'DT', 4],
      [502, 'E_UPSTREAM_RESET', 'UC', 14],
      [502, 'E_UPSTREAM_RESET', 'UR', 1],
      [404, 'E_ROUTE_NONE', 'NR', 12],
      [400, 'E_HTTP_BAD_REQUEST', 'DPE', 13],
      [431, 'E_HTTP_HEAD_TOO_LARGE', 'DPE', 2],
    ] as const
    for (const [status, code, flag, grpc] of expected) {
      const answer = grpcAnswer(errorAnswer(status, code as 'E_ROUTE_NONE', flag, 'why 100 % (\u00e4)'))
      expect([answer.status, statusOfAnswer(answer), answer.body.length], code).to.deep.equal([200, grpc, 0])
      expect(answer.code).to.equal(code)
      expect(new Map(answer.fields).get('content-type')).to.equal('application/grpc')
      expect(new Map(answer.fields).get('grpc-message')).to.match(/^E_[A-Z_]+ {2}why 100 %25 \((?:%[0-9A-F]{2})+\)$/)
    }
    expect(writeGrpcMessage('a\r\nb\u00fc%')).to.equal('a%0D%0Ab%C3%BC%25')
  })

  it('ends a reply that broke with what became of it', () => {
    const statusOf = (outcome: Outcome, reason: string) => new Map(brokenTrailers(outcome, reason)).get('grpc-status')
    expect(statusOf(Outcome.timeout, 'time')).to.equal('4')
    expect(statusOf(Outcome.reset, 'closed')).to.equal('14')
    expect(statusOf(Outcome.reset, givenUp)).to.equal('1')
  })

  it('reads the status of a reply from its head, from its end, or from HTTP', () => {
    const head = call()
    head.readHead(new PlainReply({ status: 200, fields: [['grpc-status', '5']] }))
    expect(head.status).to.equal(5)
    const end = call()
    end.readHead(new PlainReply({ status: 200 }))
    expect(end.status).to.equal(-1)
    end.readTrailers([['grpc-status', '0']])
    expect(end.status).to.equal(0)
    const none = call()
    none.readTrailers(null)
    expect(none.status).to.equal(2)
    const http = call()
    http.readHead(new PlainReply({ status: 503 }))
    expect(http.status).to.equal(14)
    expect([readGrpcStatus('x'), readGrpcStatus('16'), readGrpcStatus(undefined)]).to.deep.equal([2, 16, -1])
    expect(['17', '99', '123456789', '1e1', ''].map(readGrpcStatus)).to.deep.equal([2, 2, 2, 2, 2])
  })

  it('judges an endpoint as Envoy does, and one with a status that is unknown as failing', () => {
    const bad = [2, 4, 12, 13, 14, 15, 99]
    for (let status = 0; status < 17; status++)
      expect(httpStatusOf(status) >= 500, String(status)).to.equal(bad.includes(status))
    expect(httpStatusOf(99)).to.equal(500)
  })

  it('is pushed back by a number only', () => {
    expect(['0', '250', '-1', 'soon', '', undefined].map(readPushback)).to.deep.equal([0, 250, -1, -1, -1, undefined])
  })
})
