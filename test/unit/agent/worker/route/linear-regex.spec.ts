import { expect } from 'chai'
import { linearRegex, maxSubjectLength } from '../../../../../agent/worker/route/linear-regex.ts'

/** The best of five: what the engine compiles meanwhile counts, too. */
function leastProcessorMs(act: () => unknown): number {
  const rounds = Array.from({ length: 5 }, () => {
    const from = process.cpuUsage()
    act()
    const { user, system } = process.cpuUsage(from)
    return (user + system) / 1000
  })
  return Math.min(...rounds)
}

describe('a regex of a user', () => {
  it('matches the whole string, as Istio asks', () => {
    expect(linearRegex('/a[0-9]').matches('/a1')).to.equal(true)
    expect(linearRegex('/a[0-9]').matches('/a12')).to.equal(false)
    expect(linearRegex('.*iPhone.*').matches('x\niPhone y')).to.equal(true)
    expect(linearRegex('(?i)abc').matches('ABC')).to.equal(true)
  })

  /** Exponential, or of a high power, in a backtracking engine. */
  const catastrophic: readonly (readonly [string, string])[] = [
    ['(a+)+b', 'a'],
    ['(a|a)*b', 'a'],
    ['(a|aa)+$b', 'a'],
    ['(.*)*x', 'y'],
    ['([a-zA-Z]+)*[0-9]', 'a'],
    ['(.*a){20}b', 'a'],
    ['(x+x+)+y', 'x'],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a'],
    ['a?'.repeat(30) + 'a'.repeat(30), 'a'],
    ['(\\w+\\s?)*!', 'word '],
  ]
  for (const [pattern, unit] of catastrophic) {
    it(`cannot stall a worker: ${pattern}`, () => {
      const regex = linearRegex(pattern)
      const subject = unit.repeat(maxSubjectLength / unit.length).slice(0, maxSubjectLength)
      const spent = leastProcessorMs(() => regex.matches(subject))
      expect(spent, 'ms of processor time for 4,096 characters').to.be.below(100)
    })
  }

  it('of the largest program on the worst subject stays below a fifth of a second of processor time', () => {
    let state = 1
    const subject = Array.from({ length: maxSubjectLength }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      return (state >> 16) & 1 ? 'a' : 'b'
    }).join('')
    const regex = linearRegex('(?:a|b)*a(?:a|b){190}')
    expect(
      leastProcessorMs(() => regex.matches(subject)),
      'ms',
    ).to.be.below(200)
  })

  it('does not look at subjects beyond its bound', () => {
    expect(linearRegex('a*').matches('a'.repeat(maxSubjectLength))).to.equal(true)
    expect(linearRegex('a*').matches('a'.repeat(maxSubjectLength + 1))).to.equal(false)
    const long = 'a'.repeat(maxSubjectLength + 1)
    expect(linearRegex('a').replaceAll(long, 'b')).to.equal(long)
  })

  it('that does not compile matches nothing and changes nothing', () => {
    expect(linearRegex('(').matches('(')).to.equal(false)
    expect(linearRegex('(').replaceAll('(', 'x')).to.equal('(')
  })
})
