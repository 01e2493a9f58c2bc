import { expect } from 'chai'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RuleStore } from '../../../../../agent/control/core/rules/rule-store.ts'
import { KeptRules } from '../../../../../agent/control/rules-api/kept-rules.ts'
import { FileStore } from '../../../../../agent/control/store/file-store.ts'
import { virtualService } from '../../../../support/center/api-bench.ts'
import { manualClock } from '../../../../support/manual-clock.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

const path = '/apis/networking.istio.io/v1/namespaces/shop/virtualservices'
const user = { name: 'ops', role: 'admin', namespaces: undefined } as const

describe('the time to live of a kept rule', () => {
  let folder: string
  const open: KeptRules[] = []
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-ttl-'))
  })
  afterEach(async () => {
    for (const kept of open.splice(0)) await kept.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function start(clock: ReturnType<typeof manualClock>) {
    const warnings: string[] = []
    const log = { debug() {}, info() {}, warn: (_: object, text: string) => void warnings.push(text), error() {} }
    const rules = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP' })
    const kept = new KeptRules({
      source: 'local',
      store: new FileStore({ folder, clock, log }),
      scope: { namespace: 'public', group: 'DEFAULT_GROUP' },
      control: {
        core: { replaceRules: (source, documents) => void rules.replaceSource(source, documents) },
        deps: { rules },
        timeline: { add() {} },
      },
      version: '1',
      clock,
      random: () => 0.5,
      log,
      metrics: { count() {} },
    })
    open.push(kept)
    await eventually(() => kept.catalog.revision >= 0)
    const ask = (method: string, where: string, body: object) => {
      const said = { contentType: 'application/json', userAgent: 'test', body: JSON.stringify(body), from: 'here' }
      return kept.api.answer({ method, path: where, query: new URLSearchParams(), user, ...said })
    }
    const create = (name: string, ttl?: string) =>
      ask('POST', path, virtualService(name, {}, ttl === undefined ? {} : { annotations: { 'hostmesh.io/ttl': ttl } }))
    return { kept, ask, create, warnings, names: () => rules.statuses().map(({ name }) => name) }
  }

  it('takes a rule away when it is over, counted from when it was written last, and leaves others', async () => {
    const clock = manualClock()
    const { ask, create, kept, names } = await start(clock)
    kept.open()
    await create('orders', '10m')
    await create('stock')
    clock.advance(9 * 60_000)
    const changed = virtualService('orders', { timeout: '2s' }, { annotations: { 'hostmesh.io/ttl': '10m' } })
    await ask('PUT', `${path}/orders`, changed)
    clock.advance(9 * 60_000)
    expect(names()).to.deep.equal(['orders', 'stock'])
    await ask('PUT', `${path}/orders`, changed)
    clock.advance(9 * 60_000)
    expect(names(), 'the same again is its time again').to.deep.equal(['orders', 'stock'])
    clock.advance(61_000)
    await eventually(() => !names().includes('orders'))
    expect(names()).to.deep.equal(['stock'])
  })

  it('goes on over a restart: what is over by then goes at once, by whoever leads', async () => {
    const clock = manualClock()
    const { create, kept } = await start(clock)
    kept.open()
    await create('orders', '10m')
    await kept.close()
    clock.advance(11 * 60_000)
    const next = await start(clock)
    clock.advance(60_000)
    expect(next.names(), 'a generation that does not lead removes nothing').to.deep.equal(['orders'])
    next.kept.open()
    await eventually(() => {
      clock.advance(1)
      return next.names().length === 0
    })
  })

  it('removes many that are over at once, each once', async () => {
    const clock = manualClock()
    const { create, kept, names, warnings } = await start(clock)
    kept.open()
    for (const name of ['a', 'b', 'c', 'd']) await create(name, '10m')
    clock.advance(600_000)
    await eventually(() => {
      clock.advance(1)
      return names().length === 0
    })
    expect(warnings).to.deep.equal([])
  })

  it('is kept by one of two that share a store, and neither says that it could not be', async () => {
    const clock = manualClock()
    const [one, two] = [await start(clock), await start(clock)]
    one.kept.open()
    two.kept.open()
    for (const name of ['a', 'b', 'c', 'd']) await one.create(name, '10m')
    await eventually(() => two.names().length === 4)
    clock.advance(600_000)
    await eventually(() => {
      clock.advance(1)
      return one.names().length + two.names().length === 0
    })
    expect([...one.warnings, ...two.warnings]).to.deep.equal([])
  })

  it('leaves a rule of a version that knows more where it is, and waits for nothing', async () => {
    const clock = manualClock()
    const { kept } = await start(clock)
    kept.open()
    const metadata = { name: 'x', namespace: 'shop', annotations: { 'hostmesh.io/ttl': '1s' } }
    const value = { object: { apiVersion: 'v9', kind: 'Newer', metadata, spec: {} }, changedAt: '2020-01-01T00:00:00Z' }
    await kept.store.write('rules/Newer/shop/x', JSON.stringify(value), 0)
    await eventually(() => kept.catalog.get('rules/Newer/shop/x') !== undefined)
    let looks = 0
    const wall = clock.wall
    clock.wall = () => (looks++, wall())
    for (let turn = 0; turn < 50; turn++) {
      clock.advance(1000)
      await new Promise(setImmediate)
    }
    expect(looks).to.equal(0)
  })

  it('is refused by name where it is no time from 1s to 365d', async () => {
    const { create, names } = await start(manualClock())
    for (const ttl of ['soon', '0s', '10', '366d', ''])
      await create('orders', ttl).then(
        () => expect.fail(`${ttl} was taken`),
        (error: Error) =>
          expect(error.message)
            .to.contain('metadata.annotations.hostmesh.io/ttl')
            .and.to.contain('allowed a time from 1s to 365d'),
      )
    expect(names()).to.deep.equal([])
  })
})
