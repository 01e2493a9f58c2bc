import { expect } from 'chai'

import type { GoodToken } from '../../../../../../agent/worker/filters/jwt/issuer.ts'
import { TokenCache } from '../../../../../../agent/worker/filters/jwt/token-cache.ts'

const good = { notBefore: 0, expires: 1000 } as GoodToken

describe('tokens that are known to be good', () => {
  it('are forgotten beyond their bound, those first that were not used for longest', () => {
    const cache = new TokenCache()
    for (let n = 0; n < 8192; n++) cache.add(`token ${n}`, good)
    // of everybody's first requests, whose token is in use
    expect(cache.find('token 0', 10)).to.equal(good)
    for (let n = 0; n < 100; n++) cache.add(`new ${n}`, good)
    expect([cache.size, cache.find('token 0', 10), cache.find('token 1', 10)]).to.deep.equal([8192, good, undefined])
    expect([cache.find('token 100', 10), cache.find('token 101', 10)]).to.deep.equal([undefined, good])
  })

  it('are forgotten when their time is over', () => {
    const cache = new TokenCache()
    cache.add('one', good)
    expect([cache.find('one', 1000), cache.size]).to.deep.equal([undefined, 0])
  })
})
