import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { HangMarks } from '../../../../../../agent/worker/filters/user/hang-marks.ts'
import { HangRule } from '../../../../../../agent/worker/filters/user/hang-rule.ts'

describe('a filter that holds its worker up', () => {
  const signs = (rule: HangRule, looks: readonly (readonly [number, number])[]): string[] =>
    looks.map(([filter, call]) => rule.look(filter, call)).filter((sign) => sign !== 'none')
  const times = (count: number, filter: number, call: number): [number, number][] =>
    Array.from({ length: count }, () => [filter, call])

  it('is suspected after half a second in one call, and known after two', () => {
    const rule = new HangRule()
    expect(signs(rule, times(21, 1, 7))).to.deep.equal(['suspect', 'hung'])
    expect(rule.heldMs).to.equal(2000)
  })

  it('is cleared when the call comes back', () => {
    expect(signs(new HangRule(), [...times(10, 1, 7), [0, 7], ...times(4, 1, 8)])).to.deep.equal(['suspect', 'cleared'])
  })

  it('is no filter that is called again and again', () => {
    const calls = Array.from({ length: 100 }, (_, call) => [1, call] as const)
    expect(signs(new HangRule(), calls)).to.deep.equal([])
  })

  describe('is written down', () => {
    let directory: string
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'hostmesh-marks-'))
    })
    afterEach(() => rmSync(directory, { recursive: true }))

    const dead = 2 ** 22 + 1

    it('until it is another one, and only if its process knows or is gone', () => {
      const marks = new HangMarks(join(directory, 'marks'))
      const mark = { filter: 'a', fingerprint: '1', pid: process.pid }
      expect(marks.has('a', '1')).to.equal(false)
      marks.write({ ...mark, isSure: false })
      expect(marks.has('a', '1'), 'only slow so far').to.equal(false)
      marks.write({ ...mark, isSure: true })
      expect([marks.has('a', '1'), marks.has('b', '1')]).to.deep.equal([true, false])
      marks.write({ ...mark, pid: dead, isSure: false })
      marks.remove(mark)
      expect(marks.has('a', '1'), 'its process died in the call').to.equal(true)
      expect(marks.has('a', '2'), 'another file').to.equal(false)
      expect(marks.has('a', '1'), 'forgotten with it').to.equal(false)
    })

    it('and whatever else lies there is passed over', () => {
      writeFileSync(join(directory, 'a.1.json'), 'nonsense')
      expect(new HangMarks(directory).has('a', '1')).to.equal(false)
    })
  })
})
