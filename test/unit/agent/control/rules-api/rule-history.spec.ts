import { expect } from 'chai'
import { openApiBench, rulesPath, tokens, virtualService, type Answer } from '../../../../support/center/api-bench.ts'
import { storedRule } from '../../../../support/center/stored-rule.ts'

const orders = `${rulesPath}/orders`
const asShop = { authorization: `Bearer ${tokens.shop}` }

describe('the history of a rule', () => {
  let bench: Awaited<ReturnType<typeof openApiBench>>
  beforeEach(async () => {
    bench = await openApiBench()
  })
  afterEach(() => bench.close())

  const timeout = (text: string): object => virtualService('orders', { timeout: text })
  const revert = (body: object, more: Record<string, string> = {}): Promise<Answer> =>
    bench.call('POST', `${orders}/revert`, body, more)
  const timeoutNow = async (): Promise<string | undefined> =>
    (await bench.call('GET', orders)).body.spec?.http[0]?.timeout
  async function history(): Promise<readonly (readonly unknown[])[]> {
    const { body } = await bench.call('GET', `${orders}/history`)
    const items = body.items as unknown as Record<string, unknown>[]
    return items.map(({ resourceVersion, user, verb, object }) => [resourceVersion, user, verb, object !== null])
  }

  it('says who changed it, when and by what, over a deletion and after it', async () => {
    await bench.call('POST', rulesPath, timeout('1s'))
    await bench.call('PUT', orders, timeout('2s'), asShop)
    await bench.call('DELETE', orders, undefined, asShop)
    expect((await bench.call('GET', orders)).status).to.equal(404)
    await bench.call('POST', rulesPath, timeout('3s'))
    expect(await history()).to.deep.equal([
      ['4', 'root', 'create', true],
      ['3', 'shop-ci', 'delete', false],
      ['2', 'shop-ci', 'replace', true],
      ['1', 'root', 'create', true],
    ])
    const [newest] = (await bench.call('GET', `${orders}/history`)).body.items as unknown as Record<string, string>[]
    expect(Date.parse(newest!['at']!)).to.be.closeTo(Date.now(), 60_000)
    expect(newest!['from']).to.equal('127.0.0.1')
    const items = (await bench.call('GET', `${orders}/history`)).body.items as unknown as Record<string, string>[]
    expect(
      items.map(({ replaces }) => replaces),
      'there was none after the deletion',
    ).to.deep.equal(['0', '2', '1', '0'])
  })

  it('takes the newest change back: another version, none, or the one that was deleted', async () => {
    await bench.call('POST', rulesPath, timeout('1s'))
    await bench.call('PUT', orders, timeout('2s'))
    expect((await revert({ change: 2 })).status).to.equal(200)
    expect(await timeoutNow()).to.equal('1s')
    await bench.call('DELETE', orders)
    expect((await revert({ change: 4 })).status, 'the deletion').to.equal(201)
    expect(await timeoutNow()).to.equal('1s')
    await bench.call('POST', rulesPath, virtualService('cart'))
    const gone = await bench.call('POST', `${rulesPath}/cart/revert`, { change: 6 })
    expect(gone.body.status).to.equal('Success')
    expect((await bench.call('GET', `${rulesPath}/cart`)).status, 'it was not there before').to.equal(404)
    expect((await history()).map(([, , verb]) => verb)).to.deep.equal([
      'revert',
      'delete',
      'revert',
      'replace',
      'create',
    ])
    expect(bench.changes.at(-1)).to.include({ verb: 'revert', user: 'root', newRevision: 0 })
  })

  it('is a conflict that says who was faster where somebody else changed the rule since', async () => {
    await bench.call('POST', rulesPath, timeout('1s'))
    await bench.call('PUT', orders, timeout('2s'))
    await bench.call('PUT', orders, timeout('3s'), asShop)
    const late = await revert({ change: 2 })
    expect(late.status).to.equal(409)
    expect(late.body.message).to.match(
      /^change 2 \(replace by root, .+\) was followed by change 3 \(replace by shop-ci, /,
    )
    const stale = await revert({ to: 1, resourceVersion: '2' })
    expect(stale.status).to.equal(409)
    expect(stale.body.message).to.contain('found change 3 (replace by shop-ci')
    expect(await timeoutNow(), 'nothing was changed').to.equal('3s')
    expect((await revert({ to: 1, resourceVersion: '3' })).status).to.equal(200)
    expect(await timeoutNow()).to.equal('1s')
  })

  it('refuses what is not kept, what makes no sense, and whoever may not change the rule', async () => {
    await bench.call('POST', rulesPath, timeout('1s'))
    expect((await revert({ to: 7 })).body.message).to.contain('no version 7 is kept; found 1')
    expect((await revert({ change: 7 })).status).to.equal(404)
    expect((await revert({})).status).to.equal(400)
    expect((await revert({ change: 1, to: 1 })).status).to.equal(400)
    expect((await revert({ change: '1' })).body.message).to.contain('allowed a whole number')
    expect((await revert({ change: 1 }, { authorization: `Bearer ${tokens.reader}` })).status).to.equal(403)
    expect((await bench.call('GET', `${orders}/revert`)).status).to.equal(405)
    expect((await bench.call('DELETE', `${orders}/history`)).status).to.equal(405)
    expect(await timeoutNow()).to.equal('1s')
  })

  it('reads rules that were written before there was a history', async () => {
    await bench.store.write('rules/VirtualService/shop/orders', storedRule(timeout('1s')), 0)
    await bench.call('PUT', orders, timeout('2s'))
    expect((await revert({ change: 2 })).status).to.equal(200)
    expect(await timeoutNow()).to.equal('1s')
  })

  it('does not take a version that it cannot read for a deletion', async () => {
    await bench.store.write('rules/VirtualService/shop/orders', '{"format":9}', 0)
    await bench.store.write('rules/VirtualService/shop/orders', storedRule(timeout('2s')), 1)
    const refused = await revert({ to: 1 })
    expect(refused.status).to.equal(409)
    expect(refused.body.message).to.contain('change 1 cannot be read here')
    expect(await timeoutNow()).to.equal('2s')
  })

  it('keeps the marks of 1,000 deleted rules at most', async () => {
    for (let index = 0; index < 1003; index++)
      await bench.store.write(
        `rules/VirtualService/shop/gone-${index}`,
        JSON.stringify({ deleted: { kind: 'VirtualService', namespace: 'shop', name: 'x' }, change: { user: 'x' } }),
        0,
      )
    await bench.call('POST', rulesPath, timeout('1s'))
    await bench.call('DELETE', orders)
    expect(bench.catalog.deletedBeyond(0)).to.have.length(1000)
    expect(bench.catalog.deletedBeyond(0)[0]?.key).to.equal('rules/VirtualService/shop/gone-4')
  }).timeout(60_000)
})
