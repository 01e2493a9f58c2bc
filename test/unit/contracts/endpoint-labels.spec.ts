import { expect } from 'chai'
import { hasLabels } from '../../../contracts/endpoint-labels.ts'
import { endpoint } from '../../support/balance.ts'

describe('labels of a subset', () => {
  it('are metadata, the version, or the cluster of the registry; metadata of that name comes first', () => {
    const plain = endpoint('10.0.0.1', { cluster: 'BJ', version: 'v2', metadata: { team: 'a' } })
    expect(hasLabels(plain, { cluster: 'BJ', version: 'v2', team: 'a' })).to.equal(true)
    expect(hasLabels(plain, { cluster: 'SH' })).to.equal(false)
    const named = endpoint('10.0.0.1', { cluster: 'BJ', metadata: { cluster: 'blue' } })
    expect(hasLabels(named, { cluster: 'blue' })).to.equal(true)
    expect(hasLabels(named, { cluster: 'BJ' })).to.equal(false)
  })
})
