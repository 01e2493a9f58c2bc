import { expect } from 'chai'
import { keptChanges } from '../../../../../agent/control/store/kept-changes.ts'

describe('the changes that stay as history', () => {
  const of = (keys: string): { key: string; revision: number }[] =>
    keys.split('').map((key, index) => ({ key, revision: index + 1 }))
  const kept = (keys: string, all: number, ofKey: number): number[] =>
    keptChanges(of(keys), { all, ofKey }).map(({ revision }) => revision)

  it('are the newest of each key, as many as fit', () => {
    expect(kept('abbbbbb', 10, 3), 'one that is busy drives nobody out').to.deep.equal([1, 5, 6, 7])
    expect(kept('abcdefg', 3, 3), 'of all together').to.deep.equal([5, 6, 7])
    expect(kept('aabb', 10, 2)).to.deep.equal([1, 2, 3, 4])
    expect(kept('', 10, 2)).to.deep.equal([])
  })
})
