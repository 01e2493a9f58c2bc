import { expect } from 'chai'
import { serviceRulesId } from '../../../contracts/rule-documents.ts'

describe('the data id of rules', () => {
  it('holds only characters that Nacos allows', () => {
    for (const name of ['orders', 'providers:com.x.Y:1.0:', 'a$b', 'ä']) {
      expect(serviceRulesId({ group: 'G', name })).to.match(/^[A-Za-z0-9.:_-]+$/)
    }
  })

  it('is never the same for two services', () => {
    const ids = [
      ['DEFAULT_GROUP', 'a..b'],
      ['a.', '.b'],
      ['a', '..b'],
      ['a', 'b::c'],
      ['a::b', 'c'],
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['a', 'b:3ac'],
      ['a:3ab', 'c'],
    ].map(([group, name]) => serviceRulesId({ group: group!, name: name! }))
    expect(new Set(ids).size).to.equal(ids.length)
  })
})
