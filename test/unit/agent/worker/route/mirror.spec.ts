import { expect } from 'chai'
import { chooseMirrors, compileMirrors } from '../../../../../agent/worker/route/mirror.ts'
import { key } from '../../../../support/routing.ts'
import { seededRandom } from '../../../../support/seeded-random.ts'

describe('mirrors', () => {
  const mirrors = compileMirrors([
    { destination: { service: key('always'), weight: 1 }, share: 1 },
    { destination: { service: key('half'), weight: 1 }, share: 0.5 },
    { destination: { service: key('never'), weight: 1 }, share: 0 },
  ])

  it('are drawn one by one, by their share', () => {
    const random = seededRandom(5)
    const counts: Record<string, number> = {}
    for (let i = 0; i < 4000; i++) {
      chooseMirrors({ mirrors }, random, ({ spec }) => (counts[spec.service] = (counts[spec.service] ?? 0) + 1))
    }
    expect(counts[key('always')]).to.equal(4000)
    expect(counts[key('half')]! / 4000).to.be.closeTo(0.5, 3 * Math.sqrt(0.25 / 4000))
    expect(counts[key('never')]).to.equal(undefined)
  })

  it('cost no draw where there are none', () => {
    chooseMirrors(
      { mirrors: compileMirrors(undefined) },
      () => expect.fail('a draw'),
      () => expect.fail('a mirror'),
    )
  })
})
