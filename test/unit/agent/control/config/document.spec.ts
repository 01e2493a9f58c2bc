import { expect } from 'chai'
import { configDocument } from '../../../../../agent/control/config/document.ts'

describe('the manual of the configuration', () => {
  it('describes every key', () => {
    const bare = configDocument()
      .split('\n')
      .filter((line) => line.startsWith('| `') && line.endsWith('|  |'))
    expect(bare).to.deep.equal([])
  })
})
