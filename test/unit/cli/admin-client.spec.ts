import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { adminClient, adminJson, orderJson, whereAllowed, type AdminClient } from '../../../cli/admin-client.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { changeProtocol, startHostileServer } from '../../support/hostile-server.ts'

async function withServer(
  answer: { status: number; body: string },
  use: (where: string) => Promise<void>,
): Promise<void> {
  const server = createServer((_incoming, outgoing) => {
    outgoing.statusCode = answer.status
    outgoing.end(answer.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await use(`127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

async function failureOf(work: Promise<unknown>): Promise<MeshError> {
  try {
    await work
  } catch (error) {
    if (error instanceof MeshError) return error
    throw error
  }
  throw new Error('did not fail')
}

describe('the admin client', () => {
  it('gives up a server that changes the protocol', async () => {
    const server = await startHostileServer(changeProtocol)
    const error = await failureOf(adminJson(adminClient(`127.0.0.1:${server.port}`, 60_000), '/ready'))
    expect(error.code).to.equal('E_ADMIN_UNREACHABLE')
    expect((error.cause as Error).message).to.equal('the connection ended without an answer')
    await server.stop()
  })

  it('says that nobody answers, with a code', async () => {
    const error = await failureOf(adminJson(adminClient('/nowhere/admin.sock', 1000), '/ready'))
    expect(error.code).to.equal('E_ADMIN_UNREACHABLE')
    expect(error.message).to.include('/nowhere/admin.sock')
  })

  it("passes the agent's own words on when it refuses", async () => {
    await withServer({ status: 405, body: 'use POST\n' }, async (where) => {
      const error = await failureOf(adminJson(adminClient(where, 1000), '/logging'))
      expect(error.message).to.include('status 405: use POST')
    })
  })

  it("passes words on as words, whoever wrote them: a page's error, a Status of Kubernetes, plain text", async () => {
    const refusals: [string, string][] = [
      [JSON.stringify({ error: '/streams is for root' }), '/order: status 403: /streams is for root'],
      [JSON.stringify({ kind: 'Status', message: '"orders" not found' }), '"orders" not found'],
      ["POST is for the agent's own user\n", "/order: status 403: POST is for the agent's own user"],
    ]
    for (const [body, words] of refusals) {
      await withServer({ status: 403, body }, async (where) => {
        for (const work of [
          orderJson(adminClient(where, 1000), '/order', {}),
          adminJson(adminClient(where, 1000), '/order'),
        ]) {
          const error = await failureOf(work)
          expect(error.code).to.equal('E_ADMIN_REQUEST')
          expect(error.message.replace(where, '')).to.equal(words)
        }
      })
    }
  })

  it('refuses an answer that is not JSON', async () => {
    await withServer({ status: 200, body: '<html>' }, async (where) => {
      expect((await failureOf(adminJson(adminClient(where, 1000), '/'))).message).to.include('not JSON')
    })
  })

  it('names what an address may look like', () => {
    for (const where of ['', 'host', 'host:0', 'host:99999', ':80']) {
      expect(() => adminClient(where, 1), where).to.throw('not an admin address')
    }
  })

  it('reads at the address what it may not ask at the socket, and tells an order of nobody there', async () => {
    const asked: string[] = []
    const denied = new MeshError('E_ADMIN_UNREACHABLE', 'this user may not open it', {
      cause: Object.assign(new Error('denied'), { code: 'EACCES' }),
    })
    const clientOf = (where: string, failure?: MeshError): AdminClient => {
      const call: AdminClient['call'] = async (method) => {
        asked.push(`${method} ${where}`)
        if (failure !== undefined) throw failure
        return { status: 200, text: '{}' }
      }
      return { where, get: (path) => call('GET', path), post: (path) => call('POST', path), call }
    }
    const admin = whereAllowed(clientOf('socket', denied), clientOf('address'))
    await admin.get('/status')
    await admin.call('GET', '/apis')
    expect(asked.splice(0)).to.deep.equal(['GET socket', 'GET address', 'GET socket', 'GET address'])
    for (const order of [admin.post('/drain'), admin.call('PATCH', '/apis'), admin.call('DELETE', '/outbound')])
      expect((await failureOf(order)).message).to.equal('this user may not open it')
    expect(asked).to.deep.equal(['POST socket', 'PATCH socket', 'DELETE socket'])
  })
})
