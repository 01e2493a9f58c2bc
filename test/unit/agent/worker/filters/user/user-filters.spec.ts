import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { FilteredWorker, specOf } from '../../../../../support/user-filters.ts'
import type { Asked, FilterPlan, Got } from '../../../../../support/user-filters.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'

const edits: FilterPlan = {
  name: 'edits',
  settings: { team: 'blue' },
  text: `export default ({ team }, host) => ({
    onRequestHead(request) {
      request.setHeader('X-Team', team + ' ' + request.header('x-team'))
      request.addHeader('x-seen', request.method + ' ' + request.path + ' ' + request.query)
      request.removeHeader('cookie')
      request.data = request.headers().length
    },
    onReplyHead(reply, request) {
      reply.setHeader('x-filter', host.name + ' ' + reply.status + ' ' + (request.data > 0))
      reply.removeHeader('server')
    },
  })`,
}

const guard: FilterPlan = {
  name: 'guard',
  text: `export default () => ({
    async onRequestHead(request) {
      await new Promise((resolve) => setImmediate(resolve))
      if (request.header('x-badge') === 'good') { request.setHeader('x-user', 'ann'); return }
      return { status: 401, headers: { 'www-authenticate': 'Badge' }, body: 'no badge' }
    },
  })`,
}

describe('filters of users', () => {
  let worker: FilteredWorker

  afterEach(async () => {
    await worker.stop()
  })

  async function start(plans: readonly FilterPlan[]): Promise<void> {
    worker = await FilteredWorker.start(plans)
    worker.backend.answer = () => 'HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nok'
  }

  const failures = (kind: string): number => worker.started.metric('hostmesh_filter_failures_total', kind)
  const logged = (text: string): number => worker.started.logged.filter((line) => line.includes(text)).length

  for (const protocol of ['call', 'callHttp2'] as const) {
    const ask = (asked?: Asked): Promise<Got> => worker[protocol](asked)

    describe(protocol === 'call' ? 'over HTTP/1.1' : 'over HTTP/2', () => {
      it('change the heads of requests and replies', async () => {
        await start([edits])
        const { body, headers, status } = await ask({ path: '/a?b=c', headers: { 'x-team': 'red', cookie: 'a=b' } })
        expect([status, body]).to.deep.equal([200, 'ok'])
        expect(headers).to.include({ 'x-filter': 'edits 200 true' })
        expect(headers).to.not.have.property('server')
        expect(worker.lastHead()).to.include('x-team: blue red\n').and.to.include('x-seen: GET /a b=c\n')
        expect(worker.lastHead()).to.not.include('cookie')
        expect(worker.started.metric('hostmesh_filter_total', 'user', 'continue')).to.equal(1)
        expect(worker.started.metric('hostmesh_filter_workers', 'edits', 'on')).to.equal(1)
      })

      it('answer instead of the application, or let a request wait and go on', async () => {
        await start([guard])
        const refused = await ask()
        expect([refused.status, refused.body]).to.deep.equal([401, 'no badge'])
        expect(refused.headers).to.include({ 'www-authenticate': 'Badge' })
        expect(refused.headers).to.not.have.property('x-mesh-error')
        expect(worker.backend.requests).to.have.length(0)
        expect(worker.started.metric('hostmesh_caller_refusals_total'), 'told later if it asks on').to.equal(1)
        expect((await ask({ headers: { 'x-badge': 'good', 'x-user': 'root' } })).status).to.equal(200)
        expect(worker.lastHead().match(/^x-user: .*$/gm)).to.deep.equal(['x-user: ann'])
      })

      it('are refused with the mesh’s own code where they throw, and nothing of what they did is done', async () => {
        await start([
          {
            name: 'bad',
            text: `export default () => ({ onRequestHead(r) { r.setHeader('x-a', '1'); throw new Error('bug\\nline') } })`,
          },
        ])
        const { headers, status } = await ask()
        expect(status).to.equal(503)
        expect(headers).to.include({ 'x-mesh-error': 'E_FILTER_FAILED' })
        expect(worker.backend.requests).to.have.length(0)
        expect(failures('thrown')).to.equal(1)
        expect(logged('E_FILTER_FAILED  filter bad: thrown: bug line')).to.equal(1)
      })

      it('are passed over with failOpen', async () => {
        await start([
          {
            name: 'bad',
            failOpen: true,
            text: `export default () => ({ onRequestHead(r) { r.setHeader('x-a', '1'); throw 1 }, onReplyHead() { throw 2 } })`,
          },
        ])
        expect(await ask()).to.include({ status: 200, body: 'ok' })
        expect(worker.lastHead()).to.not.include('x-a')
        expect(failures('thrown')).to.equal(2)
      })

      it('take a reply away that they fail to judge', async () => {
        await start([{ name: 'bad', text: `export default () => ({ onReplyHead() { throw new Error('bug') } })` }])
        const { body, headers, status } = await ask()
        expect(status).to.equal(503)
        expect(headers).to.include({ 'x-mesh-error': 'E_FILTER_FAILED' })
        expect(body).to.not.include('ok')
        expect(failures('thrown')).to.equal(1)
        await eventually(() => worker.started.metric('hostmesh_requests_in_flight') === 0)
      })

      it('have a deadline', async () => {
        await start([
          {
            name: 'slow',
            deadlineMs: 20,
            text: `export default () => ({ onRequestHead: () => new Promise(() => {}) })`,
          },
        ])
        expect((await ask()).status).to.equal(503)
        expect(failures('timeout')).to.equal(1)
      })

      it('have a deadline for what they say of content, which begins when it is there', async () => {
        await start([
          {
            name: 'slow',
            deadlineMs: 20,
            text: `export default () => ({ onRequestBody: () => new Promise(() => {}) })`,
          },
        ])
        expect((await ask({ body: 'text' })).status).to.equal(503)
        expect(failures('timeout')).to.equal(1)
      })
    })
  }

  it('can do nothing to a request that has gone on, or to the next one of the same connection', async () => {
    await start([
      {
        name: 'late',
        deadlineMs: 20,
        failOpen: true,
        text: `const kept = []
          export default () => ({
            onRequestHead(request) {
              if (request.path === '/wait') { kept.push(request); return new Promise(() => {}) }
              const told = []
              for (const one of kept) {
                try { told.push(one.path) } catch (error) { told.push(error.message) }
                try { one.setHeader('x-late', '1') } catch (error) { told.push(error.message) }
              }
              return { status: 200, body: told.join(', ') }
            },
          })`,
      },
    ])
    expect((await worker.call({ path: '/wait' })).status).to.equal(200)
    expect((await worker.call({ path: '/told' })).body).to.equal('the request is over, the request has gone on')
  })

  it('may say only what can stand in a head', async () => {
    await start([
      {
        name: 'liar',
        maxFailures: 100,
        text: `export default () => ({ onRequestHead(request) {
          switch (request.path) {
            case '/split': return { status: 200, headers: { 'x-a': 'b\\r\\nset-cookie: c' } }
            case '/frame': return { status: 200, headers: { 'Content-Length': '5' } }
            case '/status': return { status: 101 }
            case '/word': return 'no'
            case '/body': return { status: 200, body: 7 }
            case '/forge': request.setHeader('x-mesh-source', 'root')
          }
        } })`,
      },
    ])
    for (const path of ['/split', '/frame', '/status', '/word', '/body', '/forge'])
      expect(await worker.call({ path }), path).to.include({ status: 503 })
    expect([failures('answer'), failures('thrown')]).to.deep.equal([5, 1])
    expect(worker.backend.requests).to.have.length(0)
  })

  it('are off after too many failures, tell it once, and come back', async () => {
    await start([
      {
        name: 'flaky',
        maxFailures: 2,
        text: `let calls = 0
          export default () => ({ onRequestHead() { if (++calls <= 3) throw new Error('bug'); return { status: 200, body: String(calls) } } })`,
      },
    ])
    const explained = (): string =>
      JSON.stringify(
        worker.started.worker.explain({
          method: 'GET',
          path: '/',
          host: 'orders',
          headers: [],
          listener: undefined,
          sourceApp: undefined,
        }),
      )
    for (let count = 0; count < 5; count++) expect((await worker.call()).status).to.equal(503)
    expect(failures('thrown')).to.equal(3)
    expect([logged('filter flaky: thrown'), logged('is off: 3 failures')]).to.deep.equal([1, 1])
    expect(worker.started.worker.filters.userFilters.dumps()).to.deep.include({
      name: 'flaky',
      state: 'off',
      why: '3 failures in 10 s, the last: thrown: bug',
      failures: 3,
    })
    expect(worker.started.metric('hostmesh_filter_workers', 'flaky', 'off')).to.equal(1)
    expect(explained()).to.include('filter flaky is off: 3 failures')
    expect(worker.started.worker.filters.userFilters.get('flaky')!.isOn(performance.now() + 60_001)).to.equal(true)
    expect((await worker.call()).status).to.equal(200)
    expect(logged('filter flaky is on again')).to.equal(1)
    expect(explained()).to.include('runs filter flaky of ')
  })

  it('that cannot be made are refused by name, and the reason is told', async () => {
    await start([
      { name: 'throws', text: `throw new Error('top')` },
      { name: 'nothing', text: `export const a = 1` },
      { name: 'hook', text: `export default () => ({ onRequestHead: 7 })` },
      { name: 'rejects', text: `export default async () => { throw new Error('no key') }` },
    ])
    await worker.started.worker.filters.userFilters.settled()
    const whys = Object.fromEntries(
      worker.started.worker.filters.userFilters.dumps().map(({ name, why }) => [name, why]),
    )
    expect(whys).to.deep.include({ throws: 'top', hook: 'onRequestHead is no function', rejects: 'no key' })
    expect(whys['nothing']).to.match(/its default export is no function$/)
    expect((await worker.call()).body).to.include('filter throws could not be run')
  })

  it('of which others may write the file are not run', async () => {
    worker = await FilteredWorker.start([])
    const spec = { name: 'open', text: 'export default () => ({})' }
    const made = specOf(worker.directory, spec)
    chmodSync(join(worker.directory, 'open.mjs'), 0o666)
    const { mesh } = worker.started.worker.state
    await worker.started.change({ mesh: { ...mesh, userFilters: [made] } })
    await worker.started.worker.filters.userFilters.settled()
    const [{ state, why } = { state: '', why: '' }] = worker.started.worker.filters.userFilters.dumps()
    expect(state).to.equal('failed')
    expect(why).to.match(/is not trusted: others may write to it \(mode 666\)/)
  })

  it('are blamed for what they throw where nobody waits, others are not', async () => {
    await start([
      {
        name: 'stray',
        text: `export default () => ({ onRequestHead() { return { status: 200, body: new Error('x').stack } } })`,
      },
    ])
    const { userFilters } = worker.started.worker.filters
    const { body } = await worker.call()
    expect(userFilters.takesBlame(Object.assign(new Error('late'), { stack: body }))).to.equal(true)
    expect(userFilters.takesBlame(new Error('ours'))).to.equal(false)
    expect(userFilters.takesBlame('text')).to.equal(false)
    expect(failures('stray')).to.equal(1)
  })

  it('that the host does not have refuse what they are for', async () => {
    worker = await FilteredWorker.start([edits])
    const { mesh } = worker.started.worker.state
    await worker.started.change({ mesh: { ...mesh, userFilters: [] } })
    expect((await worker.call()).body).to.include('filter edits could not be run')
  })

  it('log for themselves, ten lines in ten seconds', async () => {
    await start([
      {
        name: 'talks',
        text: `export default (_, host) => ({ onRequestHead() { for (let i = 0; i < 50; i++) host.log('line ' + i) } })`,
      },
    ])
    await worker.call()
    expect(logged('info filter talks: line')).to.equal(10)
  })
})
