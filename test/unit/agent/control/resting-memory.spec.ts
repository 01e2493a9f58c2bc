import { expect } from 'chai'
import {
  growthBytes,
  keepMemoryAtRest,
  lookMs,
  restMs,
  roomBytes,
  startIsOverMs,
  thoroughBytes,
} from '../../../../agent/control/resting-memory.ts'
import { manualClock } from '../../../support/manual-clock.ts'

const mib = 1024 * 1024

function process(before: { resident: number; used: number; room?: number }) {
  const clock = manualClock()
  const state = { ...before, collected: [] as string[] }
  const end = keepMemoryAtRest({
    clock,
    resident: () => state.resident,
    heap: () => ({ used: state.used, total: state.used + (state.room ?? roomBytes) }),
    collect: (how) => {
      state.collected.push(how)
      state.resident = 100 * mib
    },
  })
  return { clock, state, end }
}

describe('memory of control at rest', () => {
  it('is given back when the start is over, and not again while the process does not grow', () => {
    const { clock, state } = process({ resident: 150 * mib, used: 40 * mib })
    clock.advance(startIsOverMs - 1)
    expect(state.collected).to.deep.equal([])
    clock.advance(1)
    expect(state.collected).to.deep.equal(['thorough'])
    state.resident += growthBytes - 1
    clock.advance(10 * restMs)
    expect(state.collected).to.have.length(1)
  })

  it('is given back after each burst, but not more often than once in a while', () => {
    const { clock, state } = process({ resident: 150 * mib, used: 40 * mib })
    clock.advance(startIsOverMs)
    state.resident += growthBytes
    clock.advance(restMs - 2 * lookMs)
    expect(state.collected).to.have.length(1)
    clock.advance(3 * lookMs)
    expect(state.collected).to.have.length(2)
    for (let turn = 0; turn < 10; turn++) {
      state.resident += growthBytes
      clock.advance(restMs / 10)
    }
    expect(state.collected.length).to.be.at.most(4)
  })

  it('is collected plainly where the heap is so large that a thorough look would keep others waiting', () => {
    const { clock, state } = process({ resident: 300 * mib, used: thoroughBytes + 1 })
    clock.advance(startIsOverMs)
    expect(state.collected).to.deep.equal(['plain'])
  })

  it('is collected plainly where the heap has little room, since the longer pause would gain little', () => {
    const { clock, state } = process({ resident: 80 * mib, used: 24 * mib, room: roomBytes - 1 })
    clock.advance(startIsOverMs)
    expect(state.collected).to.deep.equal(['plain'])
  })

  it('is left alone from when it is told so', () => {
    const { clock, state, end } = process({ resident: 150 * mib, used: 40 * mib })
    end()
    clock.advance(10 * restMs)
    expect(state.collected).to.deep.equal([])
  })
})
