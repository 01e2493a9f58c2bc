import { expect } from 'chai'

import type { FilterContext } from '../../../../../agent/worker/filters/filter.ts'
import type { FilterKind } from '../../../../../agent/worker/filters/kind.ts'
import { allFilterKinds } from '../../../../support/filter-kinds.ts'
import type { HeaderEdits } from '../../../../../agent/worker/route/fields.ts'
import type { FilterSpec, HttpRouteSpec } from '../../../../../contracts/route-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import type { StrictMessage } from '../../../../support/http1/strict-parser.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

/** Makes of a request whatever the test wants. */
function editing(kind: string, edit: (context: FilterContext) => HeaderEdits | null): FilterKind {
  const filter = {
    kind,
    onRequest(context: FilterContext): null {
      const edits = edit(context)
      if (edits !== null) context.editRequest(edits)
      return null
    },
    explain: () => 'edits',
  }
  return { kind, make: () => filter }
}

const edits = (fields: HeaderEdits['fields'], drop: readonly string[] = []): HeaderEdits => ({
  fields,
  drop: new Set(drop),
})

const textOf = ({ fields }: StrictMessage): string =>
  fields.map(([name, value]) => `${name}: ${value}\r\n`.toLowerCase()).join('')

describe('what filters make of a request', () => {
  let backend: RecordingBackend
  let started: StartedWorker
  let caller: RawCaller

  async function start(kinds: readonly FilterKind[], route: Partial<HttpRouteSpec> = {}): Promise<void> {
    const endpoints = [{ address: '127.0.0.1', port: backend.port }]
    const filters = kinds.map(({ kind }) => ({ kind }) as unknown as FilterSpec)
    const services = [{ name: 'orders', endpoints, route: { ...route, filters } }]
    started = await startWorker({ services }, { filterKinds: [...kinds, ...allFilterKinds()] })
    caller = await RawCaller.open(started.port('orders'))
  }

  async function headOf(request: string): Promise<string> {
    const before = backend.requests.length
    caller.send(request)
    await eventually(() => backend.requests.length > before)
    return textOf(backend.requests[before]!)
  }

  beforeEach(async () => {
    backend = await RecordingBackend.start()
  })

  afterEach(async () => {
    caller.close()
    started.stop()
    await backend.close()
  })

  it('is what the endpoint gets, and nothing of it is in the next request', async () => {
    const user = edits([['x-user', 'ann']], ['cookie'])
    await start([editing('test-user', ({ view }) => (view.path === '/in' ? user : null))])
    const first = await headOf('GET /in HTTP/1.1\r\nHost: orders\r\nCookie: a=b\r\nX-User: forged\r\n\r\n')
    expect(first).to.include('x-user: ann').and.not.include('cookie')
    const second = await headOf('GET /out HTTP/1.1\r\nHost: orders\r\nCookie: a=b\r\n\r\n')
    expect(second).to.include('cookie: a=b').and.not.include('x-user')
  })

  it('stands in the order of the filters, and behind all of them what the rule says', async () => {
    const first = editing('first', () => edits([['x-a', '1'], ['x-b', '1'], ['x-c', '1']])) // prettier-ignore
    const second = editing('second', () => edits([['x-b', '2'], ['x-c', '2']], ['x-b', 'x-c'])) // prettier-ignore
    await start([first, second], { requestHeaders: { set: [['x-c', '3']], add: [['x-d', '3']], remove: [] } })
    const head = await headOf('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    const mine = head.split('\r\n').filter((line) => /^x-[a-d]:/.test(line))
    expect(mine).to.deep.equal(['x-a: 1', 'x-b: 2', 'x-c: 3', 'x-d: 3'])
  })

  it('may depend on who is at the other end', async () => {
    await start([editing('peer', ({ peer }) => edits([['x-peer', peer.kind]]))])
    expect(await headOf('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')).to.include('x-peer: none')
  })

  it('goes with its copies as well', async () => {
    const destination = { service: 'public/DEFAULT_GROUP@@orders', weight: 1 } as const
    await start([editing('test-user', () => edits([['x-user', 'ann']]))], { mirrors: [{ destination, share: 1 }] })
    caller.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    await eventually(() => backend.requests.length === 2)
    for (const one of backend.requests) expect(textOf(one)).to.include('x-user: ann')
  })
})
