import { expect } from 'chai'
import { sortPoints } from '../../../../../agent/worker/balance/radix-sort.ts'
import { seededRandom } from '../../../../support/seeded-random.ts'

describe('sorting of points', () => {
  it('orders points over all 32 bits and keeps each with its owner', () => {
    const random = seededRandom(4)
    const points = Uint32Array.from({ length: 5000 }, () => random() * 2 ** 32)
    points.set([0, 0xffff_ffff, 0x8000_0000, 2047, 2048])
    const ownerOf = new Map([...points].map((point, index) => [point, index]))
    const sorted = sortPoints(points.slice(), Uint32Array.from(points.keys()))
    expect(sorted.points).to.deep.equal(points.slice().sort())
    for (const [index, point] of sorted.points.entries()) expect(sorted.owners[index]).to.equal(ownerOf.get(point))
  })

  it('keeps the order of owners at equal points', () => {
    const sorted = sortPoints(Uint32Array.of(7, 3, 7, 7), Uint32Array.of(0, 1, 2, 3))
    expect([...sorted.owners]).to.deep.equal([1, 0, 2, 3])
  })
})
