import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { NacosFault } from '../../../../../registry-adapters/nacos/server/fault.ts'
import { defaultLimits } from '../../../../../registry-adapters/nacos/server/limits.ts'

const page = readFileSync(new URL('../../../../../docs/nacos-face.md', import.meta.url), 'utf8')

describe('docs/nacos-face.md', () => {
  it('lists every bound with its default, and no other', () => {
    const rows = [...page.matchAll(/^\| `(max\w+)`\s+\| (\d+)\s+\|/gm)].map(([, name, value]) => [name, Number(value)])
    expect(Object.fromEntries(rows)).to.deep.equal({ ...defaultLimits })
  })

  it('has a line for the HTTP status of every refusal', () => {
    const kinds = [
      'parameter-missing',
      'instance',
      'not-found',
      'conflict',
      'denied',
      'too-large',
      'server',
      'unsupported',
      'over-limit',
    ] as const
    for (const kind of kinds) {
      const { http, v2 } = new NacosFault(kind, '')
      expect(page, kind).to.match(new RegExp(`^\\| ${http}\\s+\\|[^|]*\\b${v2}\\b`, 'm'))
    }
  })
})
