import { expect } from 'chai'
import { OrderedDryRun } from '../../../../../agent/control/dry-run/ordered-dry-run.ts'
import { noFigures, type DryRunOrder, type DryRunView } from '../../../../../contracts/dry-run.ts'
import { MeshError } from '../../../../../contracts/errors.ts'

const order: DryRunOrder = { id: 'one', rule: 'kind: VirtualService', share: 0.1, ms: 60_000 }
const row = {
  kind: 'timeout',
  host: 'orders',
  route: 'a',
  now: '1',
  then: '2',
  requests: 3,
  example: 'GET /secret',
} as const

describe('a dry run that a center orders', () => {
  let begun: DryRunOrder[]
  let stops: number
  let types: string[]
  let refusal: Error | undefined
  let state: DryRunView['state']
  let ordered: OrderedDryRun
  beforeEach(() => {
    begun = []
    stops = 0
    types = ['center', 'nacos']
    refusal = undefined
    state = 'running'
    const view = (): DryRunView | undefined => {
      const newest = begun.at(-1)
      if (newest === undefined) return undefined
      const figures = { ...noFigures, evaluated: 3, different: 3, differences: [row] }
      const host = { host: 'h1', state: 'running', problem: '', evaluated: 3, different: 3 } as const
      const { id, share, ms } = newest
      const about = { id, share, rule: 'a', user: 'b', startedAt: 0, endsAt: ms }
      return { ...about, state, hosts: [host], figures }
    }
    ordered = new OrderedDryRun({
      config: () => ({ registries: types.map((type) => ({ type })) }) as never,
      dryRun: {
        view,
        start(one) {
          if (refusal !== undefined) return Promise.reject(refusal)
          begun.push(one)
          return Promise.resolve(view()!)
        },
        stop() {
          stops++
          return Promise.resolve(undefined)
        },
      },
    })
  })

  it('begins once, however often it is heard, and is told without paths of requests', () => {
    for (let times = 0; times < 3; times++) ordered.hear({ status: 'Success', dryRun: order })
    expect(begun).to.deep.equal([order])
    const { dryRun } = ordered.report()
    expect(dryRun).to.include({ id: 'one', state: 'running', problem: '' })
    expect(dryRun!.figures.differences).to.deep.equal([{ ...row, example: '' }])
  })

  it('ends when the center says so, and no other one does', () => {
    ordered.hear({ dryRun: order })
    ordered.hear({ dryRun: { ...order, id: 'another', ms: 0 } })
    expect(stops).to.equal(0)
    ordered.hear({ dryRun: { ...order, ms: 0 } })
    expect(stops).to.equal(1)
  })

  it('goes on while another center orders one, which begins when it is over', () => {
    const other = { ...order, id: 'two' }
    for (let times = 0; times < 2; times++) {
      ordered.hear({ dryRun: order })
      ordered.hear({ dryRun: other })
    }
    expect(begun.map(({ id }) => id)).to.deep.equal(['one'])
    expect(ordered.report().dryRun).to.include({ id: 'one', state: 'running' })
    state = 'over'
    ordered.hear({ dryRun: other })
    state = 'running'
    expect(begun.map(({ id }) => id)).to.deep.equal(['one', 'two'])
    expect(ordered.report().dryRun).to.include({ id: 'two', state: 'running' })
  })

  it('is refused by a host that takes its rules from no center, and by one that cannot do it, with the reason', async () => {
    types = ['nacos']
    ordered.hear({ dryRun: order })
    expect([begun, ordered.report().dryRun?.state]).to.deep.equal([[], 'refused'])
    expect(ordered.report().dryRun?.problem).to.include('takes its rules from no center')
    types = ['center']
    refusal = new MeshError('E_RULE_REJECTED', 'nothing would be otherwise')
    ordered.hear({ dryRun: { ...order, id: 'two' } })
    await new Promise((resolve) => setImmediate(resolve))
    expect(ordered.report().dryRun).to.include({ id: 'two', state: 'refused' })
    expect(ordered.report().dryRun?.problem).to.include('nothing would be otherwise')
  })

  it('is nothing that makes no sense', () => {
    for (const answer of [undefined, 7, 'x', {}, { dryRun: null }, { dryRun: { ...order, id: 'x'.repeat(500) } }])
      ordered.hear(answer)
    for (const field of ['id', 'rule', 'share', 'ms']) ordered.hear({ dryRun: { ...order, [field]: undefined } })
    expect([begun, ordered.report()]).to.deep.equal([[], {}])
  })
})
