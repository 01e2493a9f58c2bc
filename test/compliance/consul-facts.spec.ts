/**
 * What the adapter rests on, said of a Consul agent by itself: of the stand-in in every run, and of a real one that
 * `HOSTMESH_CONSUL=127.0.0.1:8500` names, since none is to be had here. Sources: HTTP API of Consul 1.16 ("Blocking
 * queries", "Health", "Agent: services", "Agent: checks").
 */
import { expect } from 'chai'
import { startConsulStandIn } from '../support/consul/stand-in.ts'
import type { ConsulStandIn } from '../support/consul/stand-in.ts'
import { eventually } from '../support/registry-listener.ts'

interface Said {
  readonly status: number
  readonly index: number
  readonly text: string
}

interface Entry {
  readonly Service: { readonly ID: string; readonly Meta: Readonly<Record<string, string>> }
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string }[]
}

const real = process.env['HOSTMESH_CONSUL']
const ttlSeconds = 2

describe(`facts of a Consul agent: ${real ?? 'the stand-in'}`, function () {
  this.timeout(240_000)
  let standIn: ConsulStandIn | undefined
  let base = ''
  const name = `hostmesh-facts-${process.pid}`
  const id = `${name}-1`
  const check = `${id}-agent`

  before(async () => {
    if (real === undefined) standIn = await startConsulStandIn()
    base = `http://${real ?? `127.0.0.1:${standIn!.port}`}/v1`
  })
  afterEach(() => ask('PUT', `agent/service/deregister/${id}`))
  after(() => standIn?.stop())

  async function ask(method: 'GET' | 'PUT', path: string, body?: object): Promise<Said> {
    const answer = await fetch(`${base}/${path}`, { method, ...(body && { body: JSON.stringify(body) }) })
    const index = Number(answer.headers.get('x-consul-index') ?? Number.NaN)
    return { status: answer.status, index, text: await answer.text() }
  }
  const list = async (): Promise<{ index: number; entries: Entry[] }> => {
    const { index, text } = await ask('GET', `health/service/${name}`)
    return { index, entries: JSON.parse(text) as Entry[] }
  }
  const register = (meta: Readonly<Record<string, string>> = {}): Promise<Said> =>
    ask('PUT', 'agent/service/register?replace-existing-checks=true', {
      ID: id,
      Name: name,
      Address: '10.0.0.1',
      Port: 80,
      Meta: meta,
      Weights: { Passing: 1, Warning: 1 },
      Check: { CheckID: check, Name: 'facts', TTL: `${ttlSeconds}s`, Status: 'passing' },
    })
  const statusOf = async (): Promise<string | undefined> =>
    (await list()).entries[0]?.Checks.find(({ CheckID }) => CheckID === check)?.Status
  const isListed = (): Promise<void> => eventually(async () => (await list()).entries.length === 1, 'the service')

  it('a service that nobody knows is an empty list, with an index from 1 on', async () => {
    const { index, entries } = await list()
    expect(entries).to.deep.equal([])
    expect(index).to.be.at.least(1)
  })

  it('a question with the present index waits its time, and ends with the next change and a greater index', async () => {
    await register()
    await isListed()
    await ask('PUT', `agent/check/pass/${check}`)
    const { index } = await list()
    const begun = performance.now()
    const changed = ask('GET', `health/service/${name}?index=${index}&wait=30s`)
    await ask('PUT', `agent/check/fail/${check}`)
    const answer = await changed
    expect(answer.index).to.be.greaterThan(index)
    expect(performance.now() - begun).to.be.lessThan(29_000)
    const again = performance.now()
    await ask('GET', `health/service/${name}?index=${(await list()).index}&wait=1s`)
    expect(performance.now() - again).to.be.at.least(900)
  })

  it('an index that is no number and a time that is none are refused with 400', async () => {
    for (const query of ['index=many', 'index=5&wait=long'])
      expect((await ask('GET', `health/service/${name}?${query}`)).status, query).to.equal(400)
  })

  it('a registered service has what was said of it, its check passes and fails as told, and it goes when told', async () => {
    expect((await register({ version: 'v1', hostmesh__protocol: 'http' })).status).to.equal(200)
    await isListed()
    expect((await list()).entries[0]!.Service).to.deep.include({
      ID: id,
      Meta: { version: 'v1', hostmesh__protocol: 'http' },
    })
    expect(await statusOf()).to.equal('passing')
    expect((await ask('PUT', `agent/check/fail/${check}`)).status).to.equal(200)
    await eventually(async () => (await statusOf()) === 'critical', 'a critical check')
    expect((await ask('PUT', `agent/check/pass/${check}`)).status).to.equal(200)
    await eventually(async () => (await statusOf()) === 'passing', 'a passing check')
    expect((await ask('PUT', `agent/service/deregister/${id}`)).status).to.equal(200)
    await eventually(async () => (await list()).entries.length === 0, 'nobody')
  })

  it('a check without a sign of life for its time is critical', async () => {
    await register()
    await isListed()
    await eventually(async () => (await statusOf()) === 'critical', 'a critical check', ttlSeconds * 10_000)
  })

  it('keys of metadata with dots are refused with 400, checks and services that are not there with 404', async () => {
    expect((await register({ 'hostmesh.protocol': 'http' })).status).to.equal(400)
    expect((await ask('PUT', 'agent/check/pass/nobody-agent')).status).to.equal(404)
    expect((await ask('PUT', 'agent/service/deregister/nobody')).status).to.equal(404)
  })
})
