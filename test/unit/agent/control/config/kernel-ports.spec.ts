import { expect } from 'chai'
import { firstEphemeralPort } from '../../../../../agent/control/config/kernel-ports.ts'

describe('the ephemeral ports of the kernel', () => {
  const ephemeral = { first: 32_768, last: 60_999 }

  it('clash with a range that reaches into them', () => {
    expect(firstEphemeralPort({ first: 20_000, last: 20_999 }, { ephemeral, reserved: [] })).to.equal(undefined)
    expect(firstEphemeralPort({ first: 32_000, last: 33_000 }, { ephemeral, reserved: [] })).to.equal(32_768)
  })

  it('do not clash where they are reserved for listeners', () => {
    const reserved = [
      { first: 32_768, last: 32_900 },
      { first: 32_901, last: 33_000 },
    ]
    expect(firstEphemeralPort({ first: 32_000, last: 33_000 }, { ephemeral, reserved })).to.equal(undefined)
    expect(firstEphemeralPort({ first: 32_000, last: 33_001 }, { ephemeral, reserved })).to.equal(33_001)
  })
})
