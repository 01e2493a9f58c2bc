import { expect } from 'chai'
import { Writable } from 'node:stream'
import { printToldHere, readToldHere } from '../../../../cli/commands/told-here.ts'
import { createOutput } from '../../../../cli/output.ts'

const rule = (name: string, source: string, state = 'applied') => ({
  source,
  state,
  kind: 'VirtualService',
  namespace: 'shop',
  name,
})
const port = (service: string, more: object = {}) => ({
  service,
  address: '127.0.0.1',
  port: 20_001,
  until: null,
  ...more,
})

describe('what a host alone was told, in hostmesh status', () => {
  async function lines(pages: Readonly<Record<string, unknown>>): Promise<string[]> {
    const said: string[] = []
    const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (said.push(chunk.toString()), done()) })
    const output = createOutput(false, { out: sink, err: sink })
    const get = (path: string) => {
      const page = pages[path.split('?')[0]!]
      return Promise.resolve(
        page === undefined ? { status: 403, text: 'no' } : { status: 200, text: JSON.stringify(page) },
      )
    }
    const context = { admin: { get }, output, runDir: undefined } as unknown as Parameters<typeof readToldHere>[0]
    printToldHere(output, await readToldHere(context))
    return said
      .join('')
      .split('\n')
      .map((line) => line.trimEnd().replaceAll(/\t| {2,}/g, ' | '))
      .filter((line) => line !== '')
  }

  it('is its rules and ports, and no rule of another source', async () => {
    const rules = [rule('a', 'local'), rule('b', 'rules.d'), rule('c', 'local', 'rejected')]
    const services = [
      port('orders'),
      port('stock', { until: '2027-01-01T00:00:00.000Z' }),
      port('cart', { problem: 'in use' }),
    ]
    expect(await lines({ '/rules': { rules }, '/outbound': { services } })).to.deep.equal([
      'local | name | state',
      'VirtualService | shop/a | applied',
      'VirtualService | shop/c | rejected',
      'port | orders | 127.0.0.1:20001',
      'port | stock | 127.0.0.1:20001 until 2027-01-01T00:00:00.000Z',
      'port | cart | in use',
    ])
  })

  it('is cut to a screen, and nothing at all where there is nothing or it may not be seen', async () => {
    const rules = Array.from({ length: 1000 }, (_, at) => rule(`r${at}`, 'local'))
    const said = await lines({ '/rules': { rules } })
    expect([said.length, said.at(-1)]).to.deep.equal([22, 'rules | and 980 more'])
    expect(await lines({ '/rules': { rules: [rule('b', 'rules.d')] } })).to.deep.equal([])
    expect(await lines({})).to.deep.equal([])
  })
})
