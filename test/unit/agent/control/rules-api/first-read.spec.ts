import { expect } from 'chai'
import type { ApiError } from '../../../../../agent/control/rules-api/api-error.ts'
import type { ApiReply, ApiRequest } from '../../../../../agent/control/rules-api/api-section.ts'
import { Catalog } from '../../../../../agent/control/rules-api/catalog.ts'
import { RulesApi } from '../../../../../agent/control/rules-api/rules-api.ts'
import { rulesPath } from '../../../../support/center/api-bench.ts'
import { manualClock } from '../../../../support/manual-clock.ts'

describe('the rules API of a center that just began', () => {
  const clock = manualClock()
  let catalog: Catalog
  let problem: string | undefined

  const ask = (): Promise<ApiReply> => {
    const deps = { catalog, store: { problem: () => problem }, clock, random: () => 0, version: '1', sections: [] }
    const api = new RulesApi({ ...deps, writes: undefined, status: () => undefined } as never)
    const user = { name: 'a', role: 'read', namespaces: undefined } as const
    return api.answer({ method: 'GET', path: rulesPath, query: new URLSearchParams(), user } as ApiRequest)
  }
  const refused = (asked: Promise<ApiReply>): Promise<ApiError> =>
    asked.then(
      () => expect.fail('it was answered'),
      (error: unknown) => error as ApiError,
    )
  beforeEach(() => {
    catalog = new Catalog(() => undefined)
    problem = undefined
  })

  it('answers once its store has been read', async () => {
    const asked = ask()
    catalog.onState({ revision: 0, entries: [] })
    expect(await asked).to.include({ status: 200 })
  })

  it('waits five seconds, and says at once when the store is away', async () => {
    const asked = refused(ask())
    clock.advance(4999)
    const late = await Promise.race([asked, Promise.resolve(undefined)])
    expect(late).to.equal(undefined)
    clock.advance(1)
    expect((await asked).message).to.contain('the store has not been read yet: it is being read')
    problem = 'nacos is away'
    const error = await refused(ask())
    expect([error.status, error.message]).to.deep.equal([503, 'the store has not been read yet: nacos is away'])
  })
})
