import { expect } from 'chai'

import { defaultLogFormat, parseLogFormat } from '../../../contracts/access-log-format.ts'

describe('the form of a line of the access log', () => {
  it('may be the default of Envoy', () => {
    expect(parseLogFormat(defaultLogFormat)).to.be.an('array')
  })

  it('is text, operators and fields of the request', () => {
    expect(parseLogFormat('a %START_TIME%%%%REQ(X-A?:PATH):20% b')).to.deep.equal([
      { kind: 'text', text: 'a ' },
      { kind: 'operator', name: 'START_TIME' },
      { kind: 'text', text: '%' },
      { kind: 'request-field', names: ['x-a', ':path'], maxLength: 20 },
      { kind: 'text', text: ' b' },
    ])
  })

  it('may have times of its own form, and operators whose value never exists here', () => {
    expect(
      parseLogFormat('%START_TIME(%Y/%m/%dT%H:%M:%S.%3f%z)% %DYNAMIC_METADATA(a:b)%%REQUESTED_SERVER_NAME%'),
    ).to.deep.equal([
      { kind: 'start-time', format: '%Y/%m/%dT%H:%M:%S.%3f%z' },
      { kind: 'text', text: ' ' },
      { kind: 'absent' },
      { kind: 'absent' },
    ])
  })

  for (const [bad, why] of [
    ['%START_TIME', 'has no end'],
    ['50% of', 'has no end'],
    ['%NO_SUCH%', 'not implemented'],
    ['%START_TIME(%s', 'has no end'],
    ['%START_TIME(%Q)%', '%Q is not implemented'],
    ['%START_TIME(%Y-%', 'has no end'],
    ['%RESP(:status)%', 'names of fields'],
    ['%REQ(a b)%', 'names of fields'],
    ['%REQ(A?B?C)%', 'names of fields'],
  ] as const)
    it(`is refused with what is wrong: ${bad}`, () => {
      expect(parseLogFormat(bad)).to.be.a('string').that.includes(why)
    })
})
