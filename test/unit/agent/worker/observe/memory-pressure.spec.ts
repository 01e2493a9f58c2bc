import { expect } from 'chai'
import { MemoryPressure } from '../../../../../agent/worker/observe/memory-pressure.ts'

describe('memory pressure of a worker', () => {
  it('is high from 90 % until 85 %, for 30 s at most, and then not again for 30 s', () => {
    let resident = 0
    const pressure = new MemoryPressure({
      resident: () => resident,
      allowed: () => 1000,
      warn: () => {},
    })
    const at = (now: number, bytes: number): boolean => {
      resident = bytes
      pressure.look(now)
      return pressure.isHigh
    }
    expect(at(0, 900)).to.equal(false)
    expect(at(1, 901)).to.equal(true)
    expect(at(2, 850)).to.equal(true)
    expect(at(3, 849)).to.equal(false)
    expect(at(1000, 950)).to.equal(true)
    expect(at(30_999, 950)).to.equal(true)
    expect(at(31_000, 950), 'it does not get better').to.equal(false)
    expect(at(60_999, 950)).to.equal(false)
    expect(at(61_000, 950)).to.equal(true)
  })

  it('says once in 30 s what is held, what is allowed and what happens', () => {
    const lines: string[] = []
    let resident = 0
    const warn = (line: string): void => void lines.push(line)
    const pressure = new MemoryPressure({ resident: () => resident * 1_048_576, allowed: () => 104_857_600, warn })
    const looks: readonly (readonly [number, number])[] = [
      [0, 91],
      [1, 84],
      [2, 95],
      [29_000, 84],
      [30_000, 92],
    ]
    for (const [now, share] of looks) {
      resident = share
      pressure.look(now)
    }
    const rest = 'MiB resident of 100 allowed: new connections are closed until it is below 85 MiB, for 30 s at most'
    expect(lines).to.deep.equal([`91 ${rest}`, `92 ${rest}`])
  })

  it('is never high where nobody bounds memory', () => {
    const pressure = new MemoryPressure({ resident: () => 1e12, allowed: () => undefined, warn: () => {} })
    pressure.look(0)
    expect(pressure.isHigh).to.equal(false)
  })
})
