import { expect } from 'chai'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { ApiAnswers } from '../../../../../agent/control/rules-api/api-answers.ts'
import { Catalog } from '../../../../../agent/control/rules-api/catalog.ts'
import { RulesApi } from '../../../../../agent/control/rules-api/rules-api.ts'
import { keyOf } from '../../../../../agent/control/rules-api/rule-object.ts'
import type { StoreEntry } from '../../../../../agent/control/store/store.ts'
import { rulesPath, virtualService } from '../../../../support/center/api-bench.ts'
import { manualClock } from '../../../../support/manual-clock.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

const user = { name: 'a', role: 'read', namespaces: ['shop'] } as const

function rule(name: string, revision: number, bytes = 0): StoreEntry {
  const metadata = { namespace: 'shop', annotations: { filler: 'x'.repeat(bytes) } }
  const value = JSON.stringify({ object: virtualService(name, {}, metadata) })
  return { key: keyOf('VirtualService', 'shop', name), value, revision }
}

const rules = (from: number, count: number, bytes: number): StoreEntry[] =>
  Array.from({ length: count }, (_, at) => rule(`rule-${from + at}`, from + at, bytes))

/** One connection, and the types of the lines that it read, with name or code. */
function openCaller(port: number) {
  const socket: Socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  const words: string[] = []
  let rest = ''
  socket.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n')
    rest = lines.pop()!
    for (const line of lines) {
      if (!line.startsWith('{')) continue
      const { type, object } = JSON.parse(line) as { type: string; object: { metadata: object; code?: number } }
      words.push(`${type} ${'name' in object.metadata ? String(object.metadata.name) : (object.code ?? '')}`.trim())
    }
  })
  return {
    socket,
    words,
    watch: (...queries: string[]) =>
      socket.write(queries.map((one) => `GET ${rulesPath}?watch=1&${one} HTTP/1.1\r\nhost: a\r\n\r\n`).join('')),
  }
}

describe('a watch of rules on one connection', () => {
  const clock = manualClock()
  const counts = new Map<string, number>()
  const metrics = {
    count: (name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1),
    gauge: (name: string, _labels: object, value: number) => void counts.set(name, value),
  }
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  let catalog: Catalog
  let server: ReturnType<typeof createServer>
  let port: number
  beforeEach(async () => {
    counts.clear()
    catalog = new Catalog(() => undefined)
    const deps = { catalog, store: { problem: () => undefined }, clock, random: () => 1, version: '1', sections: [] }
    const api = new RulesApi({ ...deps, writes: undefined, status: () => undefined } as never)
    const answers = new ApiAnswers({ api, catalog, clock, log, metrics })
    server = createServer((incoming, outgoing) => void answers.answer(incoming, outgoing, () => user, ''))
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  afterEach(async () => {
    const closed = new Promise((resolve) => void server.close(resolve))
    server.closeAllConnections()
    await closed
  })
  const watches = (count: number): Promise<void> => eventually(() => counts.get('rules_api_watches') === count)

  it('hears nothing more once it has ended behind another one, and is forgotten with the connection', async () => {
    catalog.onState({ revision: 1, entries: [] })
    const caller = openCaller(port)
    caller.watch('resourceVersion=1', 'resourceVersion=1&timeoutSeconds=1&allowWatchBookmarks=1')
    await watches(2)
    clock.advance(1000)
    catalog.onChanges([rule('orders', 2)])
    clock.advance(60_000)
    await eventually(() => caller.words.length === 1)
    expect(caller.words).to.deep.equal(['ADDED orders'])
    caller.socket.destroy()
    await watches(0)
  })

  it('is told to list again once, whatever comes after that', async () => {
    catalog.onState({ revision: 1, entries: [] })
    const caller = openCaller(port)
    caller.watch('resourceVersion=1', 'resourceVersion=1')
    await watches(2)
    catalog.onState({ revision: 5, entries: [] })
    catalog.onChanges([rule('orders', 6)])
    catalog.onState({ revision: 7, entries: [] })
    await watches(0)
    await eventually(() => caller.words.length === 2)
    expect(caller.words).to.deep.equal(['ERROR 410', 'ERROR 410'])
    caller.socket.destroy()
  })

  it('gets all that is there or that it missed, of many MiB, and then what came meanwhile', async () => {
    const count = 40
    catalog.onState({ revision: 0, entries: [] })
    catalog.onChanges(rules(1, count, 100_000))
    const [whole, missed, second] = [openCaller(port), openCaller(port), openCaller(port)]
    for (const { socket } of [whole, missed, second]) socket.pause()
    whole.watch('sendInitialEvents=true')
    missed.watch('resourceVersion=1')
    second.watch(`resourceVersion=${count}&timeoutSeconds=1`, 'sendInitialEvents=true')
    await watches(4)
    clock.advance(1000)
    await watches(3)
    catalog.onChanges([rule('late', count + 1)])
    for (const { socket } of [whole, missed, second]) socket.resume()
    for (const { words } of [whole, missed, second]) await eventually(() => words.at(-1) === 'ADDED late')
    expect(missed.words).to.deep.equal([...rules(2, count - 1, 0).map(wordOf), 'ADDED late'])
    const all = [...rules(1, count, 0).map(wordOf).toSorted(), 'BOOKMARK', 'ADDED late']
    expect(whole.words).to.deep.equal(all)
    expect(second.words).to.deep.equal(all)
    expect(counts.get('rules_api_watches_dropped')).to.equal(undefined)
    for (const { socket } of [whole, missed, second]) socket.destroy()
    await watches(0)
  })

  it('that does not read is cut off once 1 MiB of changes waits behind what was there', async () => {
    catalog.onState({ revision: 0, entries: [] })
    // more than the kernel keeps for a reader
    catalog.onChanges(rules(1, 200, 100_000))
    const caller = openCaller(port)
    caller.socket.pause()
    caller.watch('sendInitialEvents=true')
    await watches(1)
    catalog.onChanges(rules(201, 10, 100_000))
    expect(counts.get('rules_api_watches_dropped')).to.equal(undefined)
    catalog.onChanges(rules(211, 10, 100_000))
    expect(counts.get('rules_api_watches_dropped')).to.equal(1)
    await watches(0)
    caller.socket.destroy()
  })

  it('from a revision that was not heard yet waits for it two seconds, and is then told to list again', async () => {
    catalog.onState({ revision: 300, entries: [] })
    const [early, ahead] = [openCaller(port), openCaller(port)]
    early.watch('resourceVersion=301')
    ahead.watch('resourceVersion=500')
    await watches(2)
    catalog.onChanges([rule('orders', 301)])
    catalog.onChanges([rule('cart', 302)])
    await eventually(() => early.words.length === 1)
    expect(early.words).to.deep.equal(['ADDED cart'])
    clock.advance(1999)
    expect(counts.get('rules_api_watches'), 'it may still come').to.equal(2)
    clock.advance(1)
    await watches(1)
    await eventually(() => ahead.words.length === 1)
    expect(ahead.words).to.deep.equal(['ERROR 410'])
    expect(early.words).to.deep.equal(['ADDED cart'])
    for (const { socket } of [early, ahead]) socket.destroy()
    await watches(0)
  })
})

function wordOf({ key }: StoreEntry): string {
  return `ADDED ${key.split('/').at(-1)}`
}
