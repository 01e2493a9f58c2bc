import { expect } from 'chai'
import { OtherWord } from '../../../../registry-adapters/center/other-word.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import { recordedDeps } from '../../../support/registry-listener.ts'

describe('what a center says otherwise than the one before it', () => {
  const known = new Map(Array.from({ length: 8 }, (_, at) => [`s${at}`, 'old'] as const))
  const bench = () => {
    const [clock, deps] = [manualClock(), recordedDeps()]
    const word = new OtherWord('center', { ...deps, clock })
    const counted = () => deps.counted('registry_server_differences', { registry: 'center' })
    return { clock, counted, deps, word }
  }

  it('is counted and told once, with the names of some', () => {
    const { clock, counted, deps, word } = bench()
    word.heard('one:1', () => known)
    word.heard('two:2', () => known)
    for (const name of [...known.keys(), 's0']) word.says(name, 'new')
    word.says('asked for later', 'new')
    word.heard('two:2', () => known)
    expect(deps.lines).to.deep.equal([])
    clock.advance(5000)
    expect(counted()).to.equal(8)
    expect(deps.lines).to.deep.equal([
      'warn center: two:2 says otherwise than one:1 did of s0, s1, s2, s3, s4 and 3 more; its word counts now {"registry":"center"}',
    ])
    word.says('s1', 'newer')
    clock.advance(5000)
    expect(counted(), 'a change afterwards is news').to.equal(8)
  })

  it('is nothing where the first, the same, or one that says the same answers', () => {
    const { clock, counted, word } = bench()
    word.heard('one:1', () => known)
    word.says('s0', 'new')
    word.lost()
    word.heard('one:1', () => known)
    word.says('s0', 'newer')
    word.lost()
    word.heard('two:2', () => known)
    word.says('s0', 'old')
    word.says('s0', 'news of it')
    clock.advance(10_000)
    expect(counted()).to.equal(0)
  })

  it('is told when that one is lost at once, too', () => {
    const { clock, counted, deps, word } = bench()
    word.heard('one:1', () => known)
    word.heard('two:2', () => known)
    word.says('s0', 'new')
    word.lost()
    expect(counted()).to.equal(1)
    word.heard('three:3', () => new Map([['s0', 'new']]))
    clock.advance(5000)
    expect([counted(), deps.lines.length]).to.deep.equal([1, 1])
  })
})
