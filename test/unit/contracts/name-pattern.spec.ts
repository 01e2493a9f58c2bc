import { expect } from 'chai'
import { namePattern } from '../../../contracts/name-pattern.ts'

describe('a pattern of names', () => {
  const likes: [pattern: string, good: string[], bad: string[]][] = [
    ['', [''], ['a']],
    ['a.b', ['a.b'], ['a', 'aab', 'a.bc', 'xa.b']],
    ['*', ['', 'a', '*'], []],
    ['a*', ['a', 'ab'], ['', 'ba']],
    ['*a', ['a', 'ba'], ['', 'ab']],
    ['ab*ba', ['abba', 'abxba'], ['aba', 'ab', 'abbax']],
    ['*aab*', ['aaab', 'xaaabx'], ['aa', 'abab']],
    ['a**b*ab', ['abab', 'aababab', 'axxbxxab'], ['aab', 'abba']],
    ['(.*', ['(.', '(.x'], ['(x']],
  ]
  for (const [pattern, good, bad] of likes)
    it(`${pattern || 'of nothing'} is told`, () => {
      const isLike = namePattern(pattern)
      expect(good.filter((text) => !isLike(text))).to.deep.equal([])
      expect(bad.filter((text) => isLike(text))).to.deep.equal([])
    })
})
