import { expect } from 'chai'
import type { AdminClient } from '../../../../cli/admin-client.ts'
import { ruleHistory } from '../../../../cli/commands/rule-history.ts'
import { createOutput } from '../../../../cli/output.ts'

const rule = { kind: 'VirtualService', namespace: 'shop', name: 'orders' }

interface Item {
  readonly resourceVersion: string
  readonly replaces: string | null
  readonly timeout?: string
}

async function changes(...items: readonly Item[]): Promise<string[]> {
  const shown = items.map(({ timeout, ...item }) => {
    const object = timeout === undefined ? null : { metadata: {}, spec: { hosts: ['orders'], timeout } }
    return { at: '2026-01-01T00:00:00.000Z', user: 'alice', from: '10.0.0.1', verb: 'replace', ...item, object }
  })
  const admin: AdminClient = {
    where: 'test',
    get: () => Promise.resolve({ status: 200, text: JSON.stringify({ items: shown }) }),
    post: () => Promise.reject(new Error('not asked for')),
    call: () => Promise.reject(new Error('not asked for')),
  }
  const written: string[] = []
  const sink = { write: (text: string) => written.push(text) }
  const output = createOutput(false, { out: sink, err: sink })
  expect(await ruleHistory({ output, admin, runDir: undefined }, rule, true)).to.equal(0)
  const lines = written.join('').split('\n')
  return lines.filter((line) => line !== '' && !/^\d/.test(line))
}

describe('hostmesh rules history --diff', () => {
  const whole = ['spec:', '  hosts:', '    - orders', '  timeout: 1s']

  it('shows each change against the version that it replaced, the first one as new', async () => {
    const found = await changes(
      { resourceVersion: '9', replaces: '4', timeout: '2s' },
      { resourceVersion: '4', replaces: '0', timeout: '1s' },
    )
    expect(found).to.deep.equal([
      '  spec:',
      '    hosts:',
      '      - orders',
      '-   timeout: 1s',
      '+   timeout: 2s',
      ...whole.map((line) => `+ ${line}`),
    ])
  })

  it('says where what was before is not kept, and takes no line for one that this user added', async () => {
    const said = '  what was before it is not kept any more; as a whole:'
    const kept = whole.map((line) => `  ${line}`)
    expect(await changes({ resourceVersion: '9', replaces: '4', timeout: '1s' })).to.deep.equal([said, ...kept])
    expect(await changes({ resourceVersion: '9', replaces: null, timeout: '1s' })).to.deep.equal([said, ...kept])
    // the one between them was driven out
    const gap = await changes(
      { resourceVersion: '9', replaces: '7', timeout: '1s' },
      { resourceVersion: '4', replaces: '0', timeout: '1s' },
    )
    expect(gap.slice(0, 5)).to.deep.equal([said, ...kept])
  })

  it('takes the next older one for what was before where no version says it', async () => {
    const [first] = await changes(
      { resourceVersion: '9', replaces: null, timeout: '1s' },
      { resourceVersion: '4', replaces: '0', timeout: '1s' },
    )
    expect(first).to.equal('  spec:')
  })
})
