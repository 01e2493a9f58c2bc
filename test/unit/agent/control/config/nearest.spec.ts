import { expect } from 'chai'
import { editDistance, nearest } from '../../../../../agent/control/config/nearest.ts'

describe('the nearest name', () => {
  it('counts insertions, deletions, replacements and swapped neighbours as one edit each', () => {
    expect(editDistance('weight', 'weight')).to.equal(0)
    expect(editDistance('weihgt', 'weight')).to.equal(1)
    expect(editDistance('adress', 'address')).to.equal(1)
    expect(editDistance('', 'abc')).to.equal(3)
  })

  it('is the closest candidate, and none when all are far', () => {
    expect(nearest('portrange', ['port', 'portRange', 'services'])).to.equal('portRange')
    expect(nearest('zzz', ['port', 'service'])).to.equal(undefined)
  })
})
