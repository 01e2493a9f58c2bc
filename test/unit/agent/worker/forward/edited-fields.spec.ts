import { expect } from 'chai'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { resource, rules } from '../../../../support/routing.ts'
import { TokenIssuer } from '../../../../support/tokens.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const outbound = 'hostmesh.io/side: Outbound'

describe('fields that only a good token may bring', () => {
  let issuer: TokenIssuer
  let started: StartedWorker

  before(async () => {
    issuer = await TokenIssuer.make('https://issuer.example.com')
  })
  beforeEach(async () => {
    started = await startWorker({ services: [{ name: 'orders', endpoints: [] }] })
  })
  afterEach(() => started.stop())

  async function apply(...resources: readonly string[]): Promise<void> {
    const users = `jwtRules: [{ issuer: ${issuer.name}, jwks: '${issuer.jwks}', outputClaimToHeaders: [{ header: X-Group, claim: group }] }]`
    const text = [resource('RequestAuthentication', users, 'users', outbound), ...resources].join('---\n')
    await started.change({ virtualHosts: { [keyOf('orders')]: rules(text).virtualHost(keyOf('orders')).spec } })
  }

  async function ask(...fields: readonly string[]): Promise<string> {
    const caller = await RawCaller.open(started.port('orders'))
    caller.send(['GET / HTTP/1.1', 'Host: orders', 'Connection: close', ...fields, '', ''].join('\r\n'))
    await caller.closed()
    return caller.text.slice(0, 12)
  }

  const bearer = async (group: string) => `Authorization: Bearer ${await issuer.token({ group })}`
  const routes =
    'hosts: [orders]\nhttp:\n- match: [{ headers: { x-group: { exact: admins } } }]\n  directResponse: { status: 201 }\n- directResponse: { status: 200 }'

  it('choose a route by what the token says, whatever its caller writes', async () => {
    await apply(resource('VirtualService', routes))
    expect(await ask('X-Group: admins')).to.equal('HTTP/1.1 200')
    expect(await ask('X-Group: admins', await bearer('guests'))).to.equal('HTTP/1.1 200')
    expect(await ask(await bearer('admins'))).to.equal('HTTP/1.1 201')
    expect(await ask('X-Group: guests', await bearer('admins')), 'a token that is known').to.equal('HTTP/1.1 201')
  })

  it('are judged by policies as the token says them, whatever its caller writes', async () => {
    const when = (values: string) => `when: [{ key: "request.headers[x-group]", ${values} }]`
    await apply(
      resource('VirtualService', 'hosts: [orders]\nhttp:\n- directResponse: { status: 200 }'),
      resource(
        'AuthorizationPolicy',
        `action: ALLOW\nrules:\n- ${when('values: [admins, guests]')}`,
        'allow',
        outbound,
      ),
      resource('AuthorizationPolicy', `action: DENY\nrules:\n- ${when('values: [guests]')}`, 'deny', outbound),
    )
    expect(await ask('X-Group: admins')).to.equal('HTTP/1.1 403')
    expect(await ask('X-Group: admins', await bearer('guests'))).to.equal('HTTP/1.1 403')
    expect(await ask('X-Group: guests', await bearer('admins'))).to.equal('HTTP/1.1 200')
    expect(await ask('X-Group: x', 'X-Group: admins')).to.equal('HTTP/1.1 403')
  })
})
