import { generateKeyPairSync } from 'node:crypto'
import { expect } from 'chai'
import { isGoodKey } from '../../../../../global-mesh-center/ca/x509/algorithms.ts'

describe('a key that is to be certified', () => {
  it('is none of RSA with another exponent than 65537, whose signatures cost a multiple to check', () => {
    const rsa = (publicExponent: number) =>
      generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent }).publicKey
    expect(isGoodKey(rsa(65_537))).to.equal(true)
    for (const exponent of [3, 65_539, 0x7fff_ffff]) expect(isGoodKey(rsa(exponent)), String(exponent)).to.equal(false)
  })
})
