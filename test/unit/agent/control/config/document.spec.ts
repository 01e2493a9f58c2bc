import { expect } from 'chai'
import * as z from 'zod'
import { configDocument } from '../../../../../agent/control/config/document.ts'
import { centerSections } from '../../../../../global-mesh-center/config/schema.ts'

describe('the manual of the configuration', () => {
  it('describes every key', () => {
    const bare = configDocument(z.strictObject(centerSections))
      .split('\n')
      .filter((line) => line.startsWith('| `') && line.endsWith('|  |'))
    expect(bare).to.deep.equal([])
  })
})
