import { expect } from 'chai'
import { jsonReply, type AdminRequest } from '../../../../agent/control/admin/http.ts'
import { ConsoleApi } from '../../../../global-mesh-center/console/console-api.ts'
import type { ApiRequest } from '../../../../agent/control/rules-api/api-section.ts'
import type { ApiUser } from '../../../../agent/control/rules-api/api-user.ts'

const user = (role: ApiUser['role'], namespaces?: readonly string[]): ApiUser => ({ name: 'alice', role, namespaces })

describe('what the console asks of a center', () => {
  const asked: AdminRequest[] = []
  const api = new ConsoleApi((request) => {
    asked.push(request)
    if (request.path === '/explain' && !request.isOwner) return Promise.resolve(jsonReply({ error: 'owners' }, 403))
    return Promise.resolve(jsonReply({ pages: ['overview', 'services', 'rules'], kinds: [] }))
  })
  const ask = async (path: string, by: ApiUser, method = 'GET'): Promise<object | number> => {
    const request: ApiRequest = {
      method,
      path: `/console/data${path}`,
      query: new URLSearchParams(),
      contentType: '',
      userAgent: '',
      body: '',
      user: by,
      from: '10.0.0.1',
    }
    expect(api.serves(request.path)).to.equal(true)
    try {
      const reply = await api.answer(request)
      return 'body' in reply ? reply.body : {}
    } catch (error) {
      return (error as { status: number }).status
    }
  }

  it('is the pages that only read, for whoever reads all namespaces', async () => {
    expect(await ask('/graph', user('read'))).to.be.an('object')
    expect(await ask('/graph', user('read', ['shop']))).to.equal(403)
    expect(await ask('/graph', user('host'))).to.equal(403)
    expect(await ask('/graph', user('admin'), 'POST')).to.equal(405)
    const before = asked.length
    for (const page of ['/tap', '/config_dump', '/connections', '/reload', '/quitquitquit', '/ca', '/graph/..', '/'])
      expect(await ask(page, user('admin')), page).to.equal(404)
    expect(asked.length).to.equal(before)
  })

  it('is `explain` for admins alone', async () => {
    expect(await ask('/explain', user('write'))).to.equal(403)
    expect(await ask('/explain', user('admin'))).to.be.an('object')
  })

  it('names hosts, roll-outs and the kinds of rules that can be written', async () => {
    const about = (await ask('/about', user('read'))) as { pages: string[]; kinds: { kind: string; plural: string }[] }
    expect(about.pages).to.deep.equal(['overview', 'services', 'hosts', 'rules', 'rollouts'])
    expect(about.kinds).to.deep.include({
      kind: 'VirtualService',
      group: 'networking.istio.io',
      version: 'v1',
      plural: 'virtualservices',
    })
  })

  it('is nothing else at that port', () => {
    for (const path of ['/apis', '/console', '/console/main.js', '/hosts']) expect(api.serves(path)).to.equal(false)
  })
})
