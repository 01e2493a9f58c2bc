import { expect } from 'chai'
import { StallRule } from '../../../../../../agent/worker/filters/user/stall-rule.ts'

describe('a loop that stands while no filter is in a call', () => {
  const signs = (rule: StallRule, looks: readonly (readonly [number, number])[]): number =>
    looks.filter(([running, beat]) => rule.look(running, beat)).length
  const times = (count: number, running: number, beat: number): [number, number][] =>
    Array.from({ length: count }, () => [running, beat])

  it('is asked after once, behind two and a half seconds without a beat', () => {
    const rule = new StallRule()
    expect(signs(rule, times(25, 0, 3))).to.equal(0)
    expect(rule.look(0, 3)).to.equal(true)
    expect(rule.heldMs).to.equal(2500)
    expect(signs(rule, times(100, 0, 3))).to.equal(0)
  })

  it('is one that turned meanwhile no more', () => {
    expect(signs(new StallRule(), [...times(20, 0, 1), ...times(20, 0, 2), ...times(20, 0, 3)])).to.equal(0)
  })

  it('is none where a filter is in a call, which is known by itself', () => {
    expect(signs(new StallRule(), times(100, 1, 3))).to.equal(0)
  })
})
