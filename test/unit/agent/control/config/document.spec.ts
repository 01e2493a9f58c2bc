import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import * as prettier from 'prettier'
import { configDocument } from '../../../../../agent/control/config/document.ts'

describe('docs/config.md', () => {
  it('is what the schema says', async () => {
    const options = await prettier.resolveConfig('docs/config.md')
    const page = await prettier.format(configDocument(), { ...options, parser: 'markdown' })
    expect(readFileSync('docs/config.md', 'utf8')).to.equal(page)
  })

  it('describes every key', () => {
    const bare = configDocument()
      .split('\n')
      .filter((line) => line.startsWith('| `') && line.endsWith('|  |'))
    expect(bare).to.deep.equal([])
  })
})
