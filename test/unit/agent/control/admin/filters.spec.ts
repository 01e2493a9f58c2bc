import { expect } from 'chai'
import { filterRows, filterTable } from '../../../../../agent/control/admin/filters.ts'

describe('filters of users, as a host has them', () => {
  it('are as they are in the worker where they are worst', () => {
    const rows = filterRows([
      { name: 'team', state: 'on', why: '', failures: 1 },
      { name: 'audit', state: 'on', why: '', failures: 0 },
      { name: 'team', state: 'off', why: '11 failures', failures: 11 },
      { name: 'team', state: 'loading', why: '', failures: 0 },
    ])
    expect(rows).to.deep.equal([
      { name: 'audit', state: 'on', why: '', on: 1, workers: 1, failures: 0 },
      { name: 'team', state: 'off', why: '11 failures', on: 1, workers: 3, failures: 12 },
    ])
    expect(filterTable(rows)[2]).to.deep.equal(['team', 'off', '1 of 3 workers', '12', '11 failures'])
  })
})
