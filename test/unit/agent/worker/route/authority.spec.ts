import { expect } from 'chai'
import { splitAuthority } from '../../../../../agent/worker/route/authority.ts'

it('an authority is split into host and port', () => {
  expect(splitAuthority('a:80')).to.deep.equal(['a', 80])
  expect(splitAuthority('a')).to.deep.equal(['a', undefined])
  expect(splitAuthority('[::1]')).to.deep.equal(['[::1]', undefined])
  expect(splitAuthority('[::1]:80')).to.deep.equal(['[::1]', 80])
  expect(splitAuthority('a:')).to.deep.equal(['a', undefined])
  expect(splitAuthority('a:99999')).to.deep.equal(['a', undefined])
})
