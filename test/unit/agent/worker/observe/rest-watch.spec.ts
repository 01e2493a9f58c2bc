import { expect } from 'chai'
import { RestWatch } from '../../../../../agent/worker/observe/rest-watch.ts'

describe('the rest of a worker', () => {
  let served: number
  let isCarrying: boolean
  let rests: number
  let watch: RestWatch

  beforeEach(() => {
    served = 0
    isCarrying = false
    rests = 0
    watch = new RestWatch(
      () => served,
      () => isCarrying,
      () => rests++,
    )
  })

  const lookAfter = (requests: number): number => {
    served += requests
    watch.look()
    return rests
  }

  it('is noticed once, at the second look without a request, and again after the next requests', () => {
    expect([0, 0, 0, 5, 7, 0, 0, 1, 0].map(lookAfter)).to.deep.equal([0, 1, 1, 1, 1, 2, 2, 2, 3])
  })
  it('is not noticed while connections carry something of which nothing is counted yet', () => {
    lookAfter(1)
    isCarrying = true
    expect([0, 0, 0].map(lookAfter)).to.deep.equal([0, 0, 0])
    isCarrying = false
    expect(lookAfter(0)).to.equal(1)
  })
})
