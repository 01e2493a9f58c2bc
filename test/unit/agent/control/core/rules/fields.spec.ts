import { expect } from 'chai'
import { parseDuration } from '../../../../../../agent/control/core/rules/fields.ts'
import { headerNameProblem, headerValueProblem } from '../../../../../../agent/control/core/rules/header-rules.ts'
import { patternProblem } from '../../../../../../agent/control/core/rules/pattern.ts'
import { parseRetryOn } from '../../../../../../agent/control/core/rules/retry-words.ts'

describe('durations', () => {
  it('are read as Go and Istio write them', () => {
    const cases = { '1s': 1000, '0s': 0, '1.5s': 1500, '.5s': 500, '1h2m3s4ms': 3_723_004, '100us': 0.1, '2m': 120_000 }
    for (const [text, ms] of Object.entries(cases)) expect(parseDuration(text), text).to.equal(ms)
  })

  it('are nothing without a unit, with a sign, a space or another unit', () => {
    for (const text of [
      '5',
      '',
      's',
      '-1s',
      '+1s',
      '1 s',
      '1d',
      '1S',
      '1s ',
      '1e3s',
      '1..5s',
      5,
      null,
      ['1s'],
      '1s'.repeat(30),
    ]) {
      expect(parseDuration(text), JSON.stringify(text)).to.equal(undefined)
    }
  })
})

describe('header names and values of rules (R32)', () => {
  it('pass when a parser would pass them', () => {
    for (const name of ['x-a', 'X_B', "!#$%&'*+.^_`|~09"]) expect(headerNameProblem(name), name).to.equal(undefined)
    for (const value of ['', 'a', 'a b\tc', '!"#$%&~', '50%', '%41', '%% off']) {
      expect(headerValueProblem(value), value).to.equal(undefined)
    }
  })

  it('are refused with every byte that could end a field or a head', () => {
    for (let code = 0; code < 256; code++) {
      const char = String.fromCharCode(code)
      const isToken = /[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(char)
      expect(headerNameProblem(`x${char}y`) === undefined, `name 0x${code.toString(16)}`).to.equal(isToken)
      const isText = (code >= 0x20 && code < 0x7f) || code === 9
      expect(headerValueProblem(`x${char}y`) === undefined, `value 0x${code.toString(16)}`).to.equal(isText)
    }
  })

  it('are refused for framing, hop-by-hop and mesh fields, in any case', () => {
    for (const name of [
      'Content-Length',
      'TRANSFER-ENCODING',
      'connection',
      'te',
      'upgrade',
      'X-Mesh-Service',
      'Host',
      ':authority',
      ':path',
    ]) {
      expect(headerNameProblem(name), name).to.be.a('string')
    }
  })
})

describe('patterns', () => {
  it('are RE2, bounded in length and in size', () => {
    expect(patternProblem('^/api/v[0-9]+/(users|orders)$')).to.equal(undefined)
    expect(patternProblem('')).to.include('an empty pattern')
    expect(patternProblem('a'.repeat(1025))).to.equal('1025 characters, allowed 1024')
    expect(patternProblem('a{201}')).to.match(/instructions, allowed 200/)
    expect(patternProblem('(')).to.equal('not RE2 syntax: missing closing ): `(`')
    for (const pattern of ['(?=a)', '(?!a)', '(?<=a)b', '(a)\\1', 'a++', 'a{1001}']) {
      expect(patternProblem(pattern), pattern).to.match(/^not RE2 syntax/)
    }
  })

  it('that would be exponential elsewhere are fine', () => {
    for (const pattern of ['(a+)+b', '(a|a)*b', '(.*)*x', '([a-zA-Z]+)*$'])
      expect(patternProblem(pattern)).to.equal(undefined)
  })
})

describe('retryOn', () => {
  it('takes words and statuses, in any order, once each', () => {
    expect(parseRetryOn('503, 5xx,503,reset')).to.deep.equal({
      on: ['5xx', 'reset', 'retriable-status-codes'],
      statuses: [503],
    })
    expect(parseRetryOn('connect-failure,refused-stream,unavailable,cancelled,503')).to.deep.equal({
      on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
      statuses: [503],
    })
  })

  it('refuses what it does not know by name', () => {
    expect(parseRetryOn('5xx,envoy-ratelimited')).to.equal(
      'envoy-ratelimited is not implemented by this version; use 429',
    )
    expect(parseRetryOn('200')).to.match(/^"200" is no condition, allowed connect-failure/)
    expect(parseRetryOn(5)).to.match(/^found no text/)
  })
})
