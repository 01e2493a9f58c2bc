import { expect } from 'chai'
import type { HostReport, ReportedTraffic } from '../../../../contracts/host-report.ts'
import type { KnownHost } from '../../../../global-mesh-center/hosts/host-table.ts'
import { RolloutsPart, type RolloutsPartDeps } from '../../../../global-mesh-center/rollouts/rollouts-part.ts'
import type { ApiError } from '../../../../agent/control/rules-api/api-error.ts'
import type { RuleWrites } from '../../../../agent/control/rules-api/rule-writes.ts'
import type { StoreListener } from '../../../../agent/control/store/store.ts'
import { ruleVersion } from '../../../../contracts/rule-version.ts'
import type { CandidateRule } from '../../../../global-mesh-center/xds/rule-groups.ts'
import { openApiBench, rulesPath, tokens, virtualService, type Answer } from '../../../support/center/api-bench.ts'
import { hostReport } from '../../../support/center/host-report.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import { eventually } from '../../../support/worker/eventually.ts'

const rollouts = '/apis/hostmesh.io/v1/namespaces/shop/rollouts'
const orders = `${rulesPath}/orders`
const center = { name: 'center', type: 'center', isConnected: true, problem: '' }

interface RolloutStatus {
  readonly state: string
  readonly reason: string
  readonly hosts: readonly string[]
  readonly share: { readonly requests: number; readonly failures: number }
}

describe('guarded roll-outs', () => {
  let bench: Awaited<ReturnType<typeof openApiBench>>
  let clock: ReturnType<typeof manualClock>
  let deps: RolloutsPartDeps
  let part: RolloutsPart
  /** Of another center of the same store, that hears no hosts. */
  let another: RolloutsPart | undefined
  /** A rule that is taken up is written behind it. */
  let writing: Promise<void>
  let candidates: readonly CandidateRule[]
  let reports: Map<string, HostReport>
  let silent: Set<string>
  /** Hosts that never get the new version. */
  let without: Set<string>

  beforeEach(async () => {
    const box: { part: RolloutsPart | undefined } = { part: undefined }
    const listener: StoreListener = {
      onState(state) {
        box.part?.table.onState(state)
        another?.table.onState(state)
      },
      onChanges(changes) {
        box.part?.table.onChanges(changes)
        another?.table.onChanges(changes)
      },
    }
    writing = Promise.resolve()
    bench = await openApiBench([], [listener])
    clock = manualClock()
    candidates = []
    silent = new Set()
    without = new Set()
    reports = new Map(
      [1, 2, 3, 4].map((index) => [
        `h${index}`,
        hostReport(`h${index}`, `10.0.0.${index}`, {
          registries: [center],
          labels: { ring: index === 1 ? 'canary' : 'all' },
          bucketsMs: [10, 100],
        }),
      ]),
    )
    const quiet = (): void => undefined
    const writes = Object.create(bench.writes, {
      put: { value: (order: Parameters<RuleWrites['put']>[0]) => writing.then(() => bench.writes.put(order)) },
    }) as RuleWrites
    deps = {
      clock,
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      metrics: { count: quiet, gauge: quiet, clear: quiet },
      control: { timeline: { add: quiet } },
      scope: { namespace: 'public', group: 'DEFAULT_GROUP' },
      store: bench.store,
      writes,
      rule: (key: string) => bench.catalog.get(key),
      hosts,
      onCandidates: (now: readonly CandidateRule[]) => (candidates = now),
    } as unknown as RolloutsPartDeps
    part = new RolloutsPart(deps)
    box.part = part
    another = undefined
    bench.kept.serve(part.api)
    await part.open()
    await bench.call('POST', rulesPath, timeout('1s'))
  })
  afterEach(async () => {
    await part.close()
    await bench.close()
  })

  function hosts(): KnownHost[] {
    return [...reports].map(([name, report]) => {
      const state = silent.has(name) ? 'silent' : 'reporting'
      const said = { ...report, rules: { ...report.rules, ...askedOf(name) } }
      return { name, report: said, heardAt: clock.wall(), firstHeardAt: 0, state, isHeardHere: true }
    })
  }
  /** As a host says it that takes what it is given at once. */
  function askedOf(name: string): Pick<HostReport['rules'], 'asked'> {
    const { rules = [] } = part.onReport({ host: name })
    const given = new Map(
      candidates.flatMap(({ document, hosts: chosen }) => (chosen.has(name) ? [[document.name, document.text]] : [])),
    )
    const asked = rules.map((rule) => {
      const text = without.has(name) ? undefined : given.get(rule)
      return text === undefined
        ? { rule, version: '', state: 'absent' }
        : { rule, version: ruleVersion(text), state: 'applied' }
    })
    return asked.length === 0 ? {} : { asked }
  }
  const timeout = (text: string, name = 'orders'): object => virtualService(name, { timeout: text })
  const start = (rule: object = timeout('2s'), change: object = {}): Promise<Answer> =>
    bench.call('POST', rollouts, { spec: { rule, hosts: { percent: 25 }, observe: '30s', ...change } })
  async function statusOf(rule = 'orders'): Promise<RolloutStatus> {
    const { body } = await bench.call('GET', `${rollouts}/virtualservice.${rule}`)
    return body.status as unknown as RolloutStatus
  }
  const ended = async (rule = 'orders'): Promise<RolloutStatus> => {
    await eventually(() => part.table.all().every(({ state }) => state !== 'running'))
    return statusOf(rule)
  }
  const timeoutNow = async (): Promise<string | undefined> =>
    (await bench.call('GET', orders)).body.spec.http[0]?.timeout
  /** So many requests at each host, and of these so many failures at those that are named. */
  function traffic(requests: number, failures: number, ...failing: readonly string[]): void {
    for (const [name, report] of reports) {
      const row: ReportedTraffic = {
        reporter: 'source',
        source: 'web',
        service: 'public/orders',
        requests,
        failures: failing.includes(name) ? failures : 0,
        counts: [requests],
      }
      reports.set(name, { ...report, traffic: [row] })
    }
  }

  it('give the rule to the share alone, and to all after a time without a difference', async () => {
    expect((await start()).status).to.equal(201)
    const { hosts: share } = await statusOf()
    expect(share).to.have.length(1)
    expect(candidates.map(({ hosts: chosen }) => [...chosen])).to.deep.equal([share])
    expect(candidates[0]!.document.text).to.contain('"timeout":"2s"')
    expect(await timeoutNow(), 'of all others').to.equal('1s')
    clock.advance(5000)
    traffic(400, 0)
    clock.advance(20_000)
    expect((await statusOf()).state).to.equal('running')
    clock.advance(10_000)
    const { state, reason } = await ended()
    expect([state, reason]).to.deep.equal(['done', '0.0 % of 400 requests of 1 hosts failed, 0.0 % of 1200 elsewhere'])
    expect(await timeoutNow()).to.equal('2s')
    expect(candidates).to.deep.equal([])
    const { body } = await bench.call('GET', `${orders}/history`)
    expect(body.items[0] as unknown).to.include({ verb: 'rollout', user: 'root' })
    const changes = bench.changes.filter(({ verb }) => verb !== 'create')
    expect(changes, 'the audit').to.have.length(1)
    expect(changes[0]).to.include({ verb: 'rollout', resource: 'virtualservices.networking.istio.io shop/orders' })
    expect(changes[0]!.newRevision).to.be.greaterThan(changes[0]!.oldRevision)
  })

  it('are taken back within seconds where 5 % of the calls of the share fail, and say so', async () => {
    await start()
    const { hosts: share } = await statusOf()
    clock.advance(1000)
    traffic(400, 20, ...share)
    clock.advance(2000)
    const { state, reason } = await ended()
    expect(state).to.equal('reverted')
    expect(reason).to.contain('5.0 % of 400 requests of 1 hosts failed, 0.0 % of 1200 elsewhere')
    expect(candidates).to.deep.equal([])
    expect(await timeoutNow(), 'nobody else had it').to.equal('1s')
    expect((await start()).status, 'another try').to.equal(201)
    expect((await statusOf()).share.failures, 'it begins anew').to.equal(0)
  })

  it('look at the services of the rule alone', async () => {
    await start()
    const { hosts: share } = await statusOf()
    clock.advance(1000)
    traffic(400, 400, ...share)
    for (const [name, report] of reports)
      reports.set(name, { ...report, traffic: report.traffic.map((row) => ({ ...row, service: 'public/cart' })) })
    clock.advance(5000)
    expect((await statusOf()).share.requests).to.equal(0)
    for (const [name, report] of reports)
      reports.set(name, { ...report, traffic: report.traffic.map((row) => ({ ...row, service: 'unknown/unknown' })) })
    clock.advance(1000)
    expect((await ended()).state, 'what the rule answered itself').to.equal('reverted')
  })

  it('choose hosts by label', async () => {
    await start(timeout('2s'), { hosts: { labels: { ring: 'canary' } } })
    expect((await statusOf()).hosts).to.deep.equal(['h1'])
  })

  it('end when their hosts vanish, refuse the rule, or show nothing for long', async () => {
    await start()
    for (const name of (await statusOf()).hosts) silent.add(name)
    clock.advance(1000)
    expect((await ended()).reason).to.equal('none of its 1 hosts reports any more')
    silent.clear()
    await start()
    for (const name of (await statusOf()).hosts) {
      const rule = { kind: 'VirtualService', namespace: 'shop', name: 'orders', source: 'center', state: 'rejected' }
      const rejected = [{ ...rule, message: 'spec.http: too new' }]
      reports.set(name, { ...reports.get(name)!, rules: { applied: 0, rejected } })
    }
    clock.advance(1000)
    expect((await ended()).reason).to.match(/^host h\d refuses it: spec.http: too new$/)
    for (const [name, report] of reports) reports.set(name, { ...report, rules: { applied: 0, rejected: [] } })
    await start()
    clock.advance(89_000)
    expect((await statusOf()).state, 'three times the time').to.equal('running')
    clock.advance(2000)
    expect((await ended()).reason).to.contain('not judged: 0.0 % of 0 requests')
    expect(await timeoutNow()).to.equal('1s')
  })

  describe('where a host refuses the version that they replace', () => {
    beforeEach(() => refuse(true))

    function refuse(isOn: boolean): void {
      const rule = { kind: 'VirtualService', namespace: 'shop', name: 'orders', source: 'center', state: 'rejected' }
      const rejected = isOn ? [{ ...rule, message: 'spec.http: too new' }] : []
      for (const [name, report] of reports) reports.set(name, { ...report, rules: { applied: 0, rejected } })
    }

    it('go on, and end well once it takes the new one', async () => {
      await start()
      clock.advance(5000)
      refuse(false)
      traffic(400, 0)
      clock.advance(30_000)
      expect((await ended()).state).to.equal('done')
    })

    it('end when it refuses the new one, too', async () => {
      await start()
      clock.advance(5000)
      refuse(false)
      clock.advance(1000)
      refuse(true)
      clock.advance(1000)
      expect((await ended()).reason).to.contain('refuses it')
      await start()
      traffic(400, 0)
      clock.advance(31_000)
      expect((await ended()).reason, 'it never took it').to.contain('refuses it')
    })
  })

  it('that begin in one moment keep the bound, and no host gets two', async () => {
    for (let index = 5; index <= 40; index++)
      reports.set(`h${index}`, hostReport(`h${index}`, `10.0.0.${index}`, { registries: [center] }))
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const answers = await Promise.all(names.map((name) => start(timeout('2s', name), { hosts: { percent: 25 } })))
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).to.deep.equal([201, 201, 201, 201, 429, 429])
    const shares = part.table.all().flatMap(({ hosts: share }) => share)
    expect(new Set(shares).size).to.equal(shares.length)
  })

  it('end when somebody else changes the rule, whose change stays', async () => {
    await start()
    await bench.call('PUT', orders, timeout('9s'), { authorization: `Bearer ${tokens.shop}` })
    clock.advance(1000)
    const { state, reason } = await ended()
    expect([state, reason]).to.deep.equal(['reverted', 'the rule was changed meanwhile: replace by shop-ci'])
    expect(await timeoutNow()).to.equal('9s')
  })

  it('are done where a center took the rule up and died before it said so', async () => {
    await start()
    await bench.call('PUT', orders, timeout('2s'))
    clock.advance(1000)
    expect((await ended()).reason).to.equal('every host has this version by now')
  })

  it('are stopped, and forgotten, by whoever may change the rule', async () => {
    await start()
    const one = `${rollouts}/virtualservice.orders`
    const stop = (token: string) => bench.call('DELETE', one, undefined, { authorization: `Bearer ${token}` })
    expect((await stop(tokens.reader)).status).to.equal(403)
    expect((await stop(tokens.shop)).status).to.equal(200)
    expect((await ended()).reason).to.equal('stopped by shop-ci')
    expect((await stop(tokens.shop)).status).to.equal(200)
    expect((await stop(tokens.shop)).status, 'it is forgotten').to.equal(404)
  })

  it('are stopped by nobody once the rule is being written for every host, at whichever center', async () => {
    another = new RolloutsPart({ ...deps, hosts: () => [], onCandidates: () => undefined })
    await start()
    const { promise, resolve } = Promise.withResolvers<void>()
    writing = promise
    clock.advance(1000)
    traffic(400, 0)
    clock.advance(30_000)
    await eventually(() => another!.table.all()[0]?.takenUpAt !== undefined)
    const one = `${rollouts}/virtualservice.orders`
    const refused = await bench.call('DELETE', one)
    expect([refused.status, refused.body.message]).to.deep.equal([
      409,
      'the roll-out ends in this moment, and its rule may go to every host; see how, and revert the rule if it is done',
    ])
    const user = { name: 'root', role: 'admin', namespaces: undefined } as const
    const asked = { method: 'DELETE', path: one, query: new URLSearchParams(), body: '', user } as const
    const elsewhere = another.api.answer({ ...asked, contentType: '', userAgent: '', from: '10.0.0.9' })
    expect(((await elsewhere.catch((error: unknown) => error)) as ApiError).status).to.equal(409)
    resolve()
    expect((await ended()).state).to.equal('done')
    expect(await timeoutNow()).to.equal('2s')
  })

  it('may be stopped where a center died that had begun to take one up', async () => {
    await start()
    const { key, revision, ...known } = part.table.all()[0]!
    await bench.store.write(key, JSON.stringify({ ...known, takenUpAt: clock.wall() }), revision)
    const one = `${rollouts}/virtualservice.orders`
    expect((await bench.call('DELETE', one)).status).to.equal(409)
    clock.advance(30_000)
    expect((await bench.call('DELETE', one)).status).to.equal(200)
    expect((await ended()).reason).to.equal('stopped by root')
  })

  it('leave room for others where a token is for some namespaces, and say who holds which hosts', async () => {
    const begin = (name: string, share: object): Promise<Answer> =>
      bench.call(
        'POST',
        rollouts,
        { spec: { rule: timeout('2s', name), hosts: share, observe: '24h' } },
        { authorization: `Bearer ${tokens.shop}` },
      )
    const all = await begin('a', { percent: 75 })
    expect([all.status, all.body.message]).to.deep.equal([
      429,
      'spec.hosts: 3 hosts with those of your other roll-outs, allowed 2, half of all: a token for some namespaces leaves room for others',
    ])
    for (let index = 5; index <= 20; index++)
      reports.set(`h${index}`, hostReport(`h${index}`, `10.0.0.${index}`, { registries: [center] }))
    expect((await begin('a', { labels: { ring: 'canary' } })).status).to.equal(201)
    const twice = await begin('b', { labels: { ring: 'canary' } })
    expect([twice.status, twice.body.message]).to.deep.equal([
      422,
      'spec.hosts: nobody is meant; 19 hosts report and take rules from a center and are free; virtualservice.a of shop by shop-ci holds h1',
    ])
    expect((await begin('b', { percent: 60 })).body.message).to.contain('12 hosts with those of your other roll-outs')
    expect((await begin('b', { percent: 40 })).status).to.equal(201)
    expect((await begin('c', { percent: 1 })).body.message).to.match(
      /^2 roll-outs of yours are under way, allowed 2: .*; virtualservice\.b of shop by shop-ci holds (?:h\d+, ){4}h\d+ and 2 more/,
    )
    expect((await start(timeout('2s', 'c'), { hosts: { percent: 50 } })).status, 'for all namespaces').to.equal(201)
  })

  it('refuse a bad rule, one that is so already, nobody, everybody, a second one and a fifth', async () => {
    expect((await start(timeout('soon'))).status).to.equal(422)
    expect((await start(timeout('1s'))).body.message).to.contain('the rule is like that already')
    expect((await start({ kind: 'Pod' })).body.message).to.contain('allowed a kind of rule')
    const nobody = await start(timeout('2s'), { hosts: { labels: { ring: 'none' } } })
    expect(nobody.body.message).to.contain('nobody is meant; 4 hosts report')
    expect((await start(timeout('2s'), { hosts: { percent: 100 } })).status).to.equal(422)
    expect((await start(timeout('2s'), { observe: '1s' })).body.message).to.contain('from 5s to 24h')
    expect((await start(timeout('2s'), { hots: {} })).status).to.equal(422)
    reports.set('h9', hostReport('h9', '10.0.0.9', { labels: { ring: 'none' } }))
    const unable = await start(timeout('2s'), { hosts: { labels: { ring: 'none' } } })
    expect(unable.body.message, 'it takes no rules from a center').to.contain('nobody is meant')
    expect(part.table.all(), 'nothing was kept').to.deep.equal([])
    expect((await start()).status).to.equal(201)
    expect((await start()).body.message).to.contain('by root is under way')
    for (const [index, name] of ['a', 'b'].entries())
      expect((await start(timeout('2s', name))).status, `${index}`).to.equal(201)
    const shares = part.table.all().flatMap(({ hosts: share }) => share)
    expect(new Set(shares).size, 'no host has two').to.equal(3)
    expect((await start(timeout('2s', 'c'))).body.message, 'one host is left').to.contain('nobody is left to compare')
  })
})
