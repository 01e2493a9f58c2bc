import { Validator } from '@seriousme/openapi-schema-validator'
import { expect } from 'chai'
import { connect } from 'node:net'
import { openApiBench, rulesPath, tokens, virtualService, type Answer } from '../../../../support/center/api-bench.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

const merge = { 'content-type': 'application/merge-patch+json' }
const applyYaml = { 'content-type': 'application/apply-patch+yaml' }
const orders = `${rulesPath}/orders`

describe('the rules API', () => {
  let bench: Awaited<ReturnType<typeof openApiBench>>
  beforeEach(async () => {
    bench = await openApiBench()
  })
  afterEach(() => bench.close())
  const create = (name: string, change?: object, metadata?: object): Promise<Answer> =>
    bench.call('POST', rulesPath, virtualService(name, change, metadata))

  it('creates, reads, replaces, patches, lists and deletes, and the compiler gets each version', async () => {
    const made = await create('orders')
    expect(made.status).to.equal(201)
    expect(made.body.metadata).to.include({ namespace: 'shop', resourceVersion: '1' })
    expect(bench.documents.now.map(({ name }) => name)).to.deep.equal(['VirtualService shop/orders'])
    expect((await create('orders')).body.reason).to.equal('AlreadyExists')
    const replaced = await bench.call('PUT', orders, virtualService('orders', { timeout: '2s' }))
    expect(replaced.body.spec.http[0]!.timeout).to.equal('2s')
    const patched = await bench.call('PATCH', orders, { metadata: { labels: { team: 'a' } } }, merge)
    expect(patched.body.metadata.labels).to.deep.equal({ team: 'a' })
    expect(patched.body.metadata['generation'], 'the rule did not change').to.equal(2)
    const beta = await bench.call('GET', `${orders.replace('/v1/', '/v1beta1/')}`)
    expect(beta.body).to.include({ apiVersion: 'networking.istio.io/v1beta1' })
    expect(beta.body.status.conditions[0]!.reason).to.equal('Applied')
    const list = await bench.call('GET', '/apis/networking.istio.io/v1/virtualservices?labelSelector=team%20in%20(a,b)')
    expect(list.body.items).to.have.length(1)
    expect((await bench.call('GET', `${rulesPath}?labelSelector=team!=a`)).body.items).to.have.length(0)
    const history = await bench.call('GET', `${orders}/history`)
    expect(history.body.items).to.have.length(3)
    expect((await bench.call('DELETE', orders)).body.status).to.equal('Success')
    expect((await bench.call('GET', orders)).body.reason).to.equal('NotFound')
    expect(bench.documents.now).to.deep.equal([])
    expect(bench.changes.map(({ user, verb, oldRevision }) => [user, verb, oldRevision])).to.deep.equal([
      ['root', 'create', 0],
      ['root', 'replace', 1],
      ['root', 'patch', 2],
      ['root', 'delete', 3],
    ])
  })

  it('gives the compiler the annotations that a policy is decided by, and follows them alone', async () => {
    const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies'
    const deny = {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'deny', namespace: 'shop', annotations: { 'istio.io/dry-run': 'true', note: 'later' } },
      spec: { action: 'DENY', rules: [{}] },
    }
    expect((await bench.call('POST', path, deny)).status).to.equal(201)
    const annotations = () => JSON.parse(bench.documents.now[0]!.text!).metadata.annotations
    expect(annotations()).to.deep.equal({ 'istio.io/dry-run': 'true' })
    await bench.call('PATCH', `${path}/deny`, { metadata: { annotations: { 'istio.io/dry-run': null } } }, merge)
    expect(annotations()).to.equal(undefined)
    await bench.call('PATCH', `${path}/deny`, { metadata: { annotations: { 'hostmesh.io/side': 'Outbound' } } }, merge)
    expect(annotations()).to.deep.equal({ 'hostmesh.io/side': 'Outbound' })
  })

  it('refuses what the compiler would refuse, with field, found and allowed, and a name that was meant', async () => {
    const answer = await create('orders', { timeot: '2s', retries: { attempts: 'many' } })
    expect(answer.status).to.equal(422)
    expect(answer.body.details.causes.map(({ field }) => field)).to.include.members([
      'spec.http[0].timeot',
      'spec.http[0].retries.attempts',
    ])
    expect(answer.body.message).to.contain('nearest: timeout').and.to.contain('found "many", allowed')
    expect((await bench.call('GET', orders)).status, 'nothing was written').to.equal(404)
    const other = await bench.call('POST', rulesPath, { ...virtualService('orders'), extra: 1 })
    expect(other.body.message).to.contain('extra: unknown field')
    const unknown = await bench.call('GET', '/apis/networking.istio.io/v1/namespaces/shop/envoyfilters')
    expect(unknown.status).to.equal(404)
  })

  it('refuses a change that knows an old revision, and says which one is there', async () => {
    await create('orders')
    await bench.call('PUT', orders, virtualService('orders', { timeout: '2s' }))
    const stale = virtualService('orders', { timeout: '3s' }, { resourceVersion: '1' })
    for (const [method, body, type] of [
      ['PUT', stale, {}],
      ['PATCH', { metadata: { resourceVersion: '1', labels: { a: 'b' } } }, merge],
      ['DELETE', { preconditions: { resourceVersion: '1' } }, {}],
    ] as const) {
      const answer = await bench.call(method, orders, body, type)
      expect(answer.status, method).to.equal(409)
      expect(answer.body.message, method).to.contain('found 2, the request says 1')
    }
    expect((await bench.call('GET', orders)).body.spec.http[0]!.timeout).to.equal('2s')
  })

  it('does nothing but check with dryRun=All, and refuses any other word', async () => {
    const dry = await bench.call('POST', `${rulesPath}?dryRun=All`, virtualService('orders'))
    expect(dry.status).to.equal(201)
    expect((await bench.call('GET', orders)).status).to.equal(404)
    expect(
      (await bench.call('POST', `${rulesPath}?dryRun=All`, virtualService('orders', { timeot: 1 }))).status,
    ).to.equal(422)
    expect((await bench.call('POST', `${rulesPath}?dryRun=yes`, virtualService('orders'))).status).to.equal(400)
    await create('orders')
    await bench.call('DELETE', `${orders}?dryRun=All`)
    expect((await bench.call('GET', orders)).status).to.equal(200)
  })

  it('applies for each manager its own fields, names conflicts, and lets go of what is no longer said', async () => {
    const apply = (manager: string, value: object, force = ''): Promise<Answer> =>
      bench.call('PATCH', `${orders}?fieldManager=${manager}${force}`, JSON.stringify(value), applyYaml)
    const labelled = (labels: object): object => virtualService('orders', {}, { labels })
    expect((await apply('one', labelled({ team: 'a', tier: 'x' }))).status).to.equal(201)
    const clash = await apply('two', labelled({ team: 'b' }))
    expect(clash.status).to.equal(409)
    expect(clash.body.details.causes).to.deep.equal([
      { reason: 'FieldValueInvalid', field: '.labels.team', message: 'conflict with "one"' },
    ])
    const forced = await apply('two', labelled({ team: 'b' }), '&force=true')
    expect(forced.body.metadata.labels).to.deep.equal({ team: 'b', tier: 'x' })
    const less = await apply('one', virtualService('orders'))
    expect(less.body.metadata.labels, 'tier was of one alone, team is of two').to.deep.equal({ team: 'b' })
    expect((await bench.call('PATCH', orders, JSON.stringify(labelled({})), applyYaml)).body.message).to.contain(
      'fieldManager',
    )
  })

  it('writes one line about many callers that are not let in, and counts them all', async () => {
    const none = { authorization: '' }
    await Promise.all(Array.from({ length: 20 }, () => bench.call('GET', '/apis', undefined, none)))
    expect(bench.counts.get('rules_api_denied')).to.equal(20)
    expect(bench.warnings.length).to.be.within(1, 3)
  })

  it('serves its OpenAPI document, valid, with every way in', async () => {
    const headers = { authorization: `Bearer ${tokens.reader}` }
    const answer = await fetch(`${bench.base}/openapi.json`, { headers })
    expect([answer.status, answer.headers.get('content-type')]).to.deep.equal([200, 'application/json'])
    const document = (await answer.json()) as Parameters<Validator['validate']>[0] & {
      components: { securitySchemes: object }
      security: object
    }
    const { components, security } = structuredClone(document)
    const { valid, errors } = await new Validator().validate(document)
    expect(valid, JSON.stringify(errors)).to.equal(true)
    expect(Object.entries(components.securitySchemes).map(([name, { type }]) => [name, type])).to.deep.equal([
      ['token', 'http'],
      ['certificate', 'mutualTLS'],
    ])
    expect(security).to.deep.equal([{ token: [] }, { certificate: [] }])
    expect((await fetch(`${bench.base}/openapi.json`)).status, 'to nobody else').to.equal(401)
  })

  it('says of a kind that it has not where the one is that was meant, or what it has', async () => {
    const said = async (path: string): Promise<string> => {
      const { status, body } = await bench.call('GET', `/apis/${path}`)
      expect([status, body.reason]).to.deep.equal([404, 'NotFound'])
      return body.message.replace(/^.*: nothing is served here; /, '')
    }
    const at = 'VirtualService is at /apis/networking.istio.io/v1/namespaces/NAMESPACE/virtualservices'
    for (const path of [
      'networking.istio.io/v9/virtualservices',
      'security.istio.io/v1/namespaces/shop/virtualservices/orders',
      'networking.istio.io/v1/namespaces/shop/virtualservice',
      'networking.istio.io/v1/namespaces/shop/vs',
    ])
      expect(await said(path), path).to.equal(at)
    expect(await said('networking.istio.io/v1/virtualservises')).to.match(
      /^found virtualservises, allowed in networking\.istio\.io: virtualservices, .* \(nearest: virtualservices\)$/,
    )
    expect(await said('networking.istio.io/v1/namespaces/shop/sidecars')).to.match(
      /^found sidecars, allowed in .*, gateways$/,
    )
    expect(await said('apps/v1/deployments')).to.match(/^found group apps, allowed networking\.istio\.io, /)
    expect(await said('networking.istio.io/v9')).to.equal('/apis lists what is')
  })

  it('lets in only known tokens, each for what its role allows', async () => {
    const as = (token: string) => ({ authorization: `Bearer ${token}` })
    expect((await bench.call('GET', rulesPath, undefined, as('x'.repeat(32)))).status).to.equal(401)
    expect((await bench.call('GET', rulesPath, undefined, { authorization: '' })).status).to.equal(401)
    expect((await bench.call('GET', '/apis', undefined, { authorization: '' })).status).to.equal(401)
    expect((await bench.call('POST', rulesPath, virtualService('a'), as(tokens.shop))).status).to.equal(201)
    const elsewhere = rulesPath.replace('/shop/', '/bank/')
    const refused = await bench.call('POST', elsewhere, virtualService('a'), as(tokens.shop))
    expect(refused.status).to.equal(403)
    expect(refused.body.message).to.contain(
      'in namespace bank is not allowed; the token has the role write, namespaces shop',
    )
    expect(
      (await bench.call('GET', '/apis/networking.istio.io/v1/virtualservices', undefined, as(tokens.shop))).status,
    ).to.equal(403)
    expect((await bench.call('GET', rulesPath, undefined, as(tokens.reader))).status).to.equal(200)
    expect((await bench.call('DELETE', `${rulesPath}/a`, undefined, as(tokens.reader))).status).to.equal(403)
    expect(bench.counts.get('rules_api_denied')).to.equal(3)
  })

  it('refuses bodies that are too long, broken, of another type or bombs, and answers the next request', async () => {
    const long = `{"a":"${'x'.repeat(10 * 1024 * 1024)}"}`
    const tooLong = await bench.call('POST', rulesPath, long).then(
      ({ status }) => status,
      // the server does not read what it refused
      () => 413,
    )
    expect(tooLong).to.equal(413)
    expect((await bench.call('POST', rulesPath, '{"a":')).body.message).to.contain('broken JSON')
    const other = await bench.call('PATCH', orders, [] as object, { 'content-type': 'application/json-patch+json' })
    expect(other.status).to.equal(415)
    expect(other.body.message).to.contain('application/merge-patch+json')
    const levels = Array.from({ length: 12 }, (_, index) =>
      index === 0 ? 'a0: &a0 [x, x]' : `a${index}: &a${index} [${`*a${index - 1}, `.repeat(9)}*a${index - 1}]`,
    )
    const bomb = await bench.call('PATCH', `${orders}?fieldManager=x`, levels.join('\n'), applyYaml)
    expect(bomb.status).to.equal(400)
    const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`
    for (const [method, path, type] of [
      ['POST', rulesPath, {}],
      ['PATCH', orders, merge],
    ] as const)
      expect((await bench.call(method, path, deep, type)).body.message).to.contain('more than 64 maps and lists')
    const big = await create('orders', { name: 'x'.repeat(300 * 1024) })
    expect(big.status).to.be.oneOf([413, 422])
    expect((await create('orders')).status).to.equal(201)
  })

  it('says that a rule stands behind another one of the same host', async () => {
    await create('orders')
    const second = virtualService('second') as { spec: { hosts: string[] } }
    second.spec.hosts = ['orders']
    const answer = await bench.call('POST', rulesPath, second)
    expect(answer.status).to.equal(201)
    expect(answer.body.status.conditions[0]!.reason).to.equal('Conflict')
    expect(answer.headers.get('warning')).to.contain('orders')
  })

  it('keeps its answers and refuses changes while the store is away', async () => {
    await create('orders')
    bench.breakStore()
    const answer = await bench.call('PUT', orders, virtualService('orders', { timeout: '2s' }))
    expect(answer.status).to.equal(503)
    expect(answer.body.message).to.contain('E_STORE_UNAVAILABLE')
    expect((await bench.call('GET', orders)).status).to.equal(200)
    expect(bench.documents.now, 'the rules in force stay').to.have.length(1)
  })

  describe('a watch', () => {
    async function watch(query: string) {
      const abort = new AbortController()
      const answer = await fetch(`${bench.base}${rulesPath}?watch=true&${query}`, {
        headers: { authorization: `Bearer ${tokens.admin}` },
        signal: abort.signal,
      })
      const lines: string[] = []
      const done = (async () => {
        let rest = ''
        for await (const chunk of answer.body!) {
          const parts = (rest + Buffer.from(chunk).toString()).split('\n')
          rest = parts.pop()!
          for (const part of parts) {
            const { type, object } = JSON.parse(part) as { type: string; object: Answer['body'] & { code?: number } }
            lines.push(`${type} ${object.metadata['name'] ?? object.code ?? ''}`.trim())
          }
        }
      })().catch(() => undefined)
      return { lines, done, end: () => abort.abort() }
    }

    it('tells what is there, then each change, and goes on from a revision', async () => {
      await create('orders')
      const whole = await watch('sendInitialEvents=true&allowWatchBookmarks=true')
      const labelled = await watch('labelSelector=team=a&resourceVersion=1')
      await eventually(() => whole.lines.length === 2)
      await create('cart')
      await bench.call('PATCH', `${rulesPath}/cart`, { metadata: { labels: { team: 'a' } } }, merge)
      await bench.call('DELETE', `${rulesPath}/cart`)
      await eventually(() => whole.lines.length === 5)
      expect(whole.lines).to.deep.equal(['ADDED orders', 'BOOKMARK', 'ADDED cart', 'MODIFIED cart', 'DELETED cart'])
      await eventually(() => labelled.lines.length === 2)
      expect(labelled.lines).to.deep.equal(['ADDED cart', 'DELETED cart'])
      const later = await watch('resourceVersion=2')
      await eventually(() => later.lines.length === 2)
      expect(later.lines).to.deep.equal(['MODIFIED cart', 'DELETED cart'])
      for (const one of [whole, labelled, later]) one.end()
      await eventually(() => bench.counts.get('rules_api_watches') === 0)
    })

    it('is told to list again when the store was read anew', async () => {
      await create('orders')
      const following = await watch('resourceVersion=1')
      bench.catalog.onState({ revision: 50, entries: [] })
      await eventually(() => following.lines.length === 1)
      expect(following.lines).to.deep.equal(['ERROR 410'])
      await following.done
      const old = await watch('resourceVersion=1')
      await old.done
      expect(old.lines).to.deep.equal(['ERROR 410'])
    })

    it('that nobody reads is cut off, and others are not slowed', async () => {
      const socket = connect(bench.port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.pause()
      socket.write(
        `GET ${rulesPath}?watch=1 HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${tokens.admin}\r\n\r\n`,
      )
      await eventually(() => bench.counts.get('rules_api_watches') === 1)
      const reading = await watch('resourceVersion=0')
      let written = 0
      while (bench.counts.get('rules_api_watches_dropped') === undefined) {
        const annotations = { filler: `${written++}${'x'.repeat(150_000)}` }
        const body = virtualService('orders', {}, { annotations })
        const answer = await bench.call(written === 1 ? 'POST' : 'PUT', written === 1 ? rulesPath : orders, body)
        expect(answer.status).to.be.oneOf([200, 201])
        expect(written, 'a bound on what piles up').to.be.below(100)
      }
      await eventually(() => reading.lines.length === written)
      reading.end()
      socket.destroy()
    })
  })
})
