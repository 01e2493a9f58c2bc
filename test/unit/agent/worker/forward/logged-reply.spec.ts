import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect } from 'chai'

import type { HttpRouteSpec } from '../../../../../contracts/route-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe('what the access log and answers of our own say of a reply', () => {
  let folder: string
  let backend: RecordingBackend
  let started: StartedWorker

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-logged-reply-'))
    backend = await RecordingBackend.start()
    backend.answer = () =>
      'HTTP/1.1 201 Made\r\nX-One: first\r\nX-One: second\r\nX-Gone: g\r\nx-mesh-error: forged\r\nContent-Length: 2\r\n\r\nok'
    const route: Partial<HttpRouteSpec> = {
      responseHeaders: { set: [['x-rule', 'of the rule']], add: [], remove: ['x-gone'] },
    }
    started = await startWorker({
      services: [
        { name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }], route },
        { name: 'empty', endpoints: [] },
        {
          name: 'ruled',
          endpoints: [],
          route: { action: { kind: 'direct', status: 299, body: 'said', contentType: 'text/plain' } },
        },
      ],
      mesh: {
        generateRequestId: true,
        accessLog: {
          format: 'text',
          path: join(folder, 'access.log'),
          share: 1,
          textFormat:
            '%REQ(X-REQUEST-ID)%|%RESP(X-None?x-one)%|%RESP(X-ONE):3%|%RESP(X-Rule)%|%RESP(X-Gone)%|%RESP(X-Mesh-Error)%|%RESP(X-Mesh-Tier)%|%RESP(Content-Type)%|%RESP(Content-Length)%\n',
        },
      },
    })
  })
  after(async () => {
    started?.stop()
    await backend.close()
    rmSync(folder, { recursive: true })
  })

  async function ask(service: string, target: string, fields = ''): Promise<RawCaller> {
    const caller = await RawCaller.open(started.port(service))
    caller.send(`GET ${target} HTTP/1.1\r\nHost: ${service}\r\n${fields}Connection: close\r\n\r\n`)
    await caller.closed()
    caller.close()
    return caller
  }

  async function logged(id: string): Promise<string> {
    const file = join(folder, 'access.log')
    const line = () =>
      existsSync(file)
        ? readFileSync(file, 'utf8')
            .split('\n')
            .find((one) => one.startsWith(`${id}|`))
        : undefined
    await eventually(() => line() !== undefined)
    return line()!
  }

  it('is any field, as the caller gets it', async () => {
    await ask('orders', '/', 'X-Request-Id: a-1\r\n')
    expect(await logged('a-1')).to.equal('a-1|first|fir|of the rule|-|-|agent|-|2')
  })

  it('is what we answered ourselves, too', async () => {
    const { text } = await ask('empty', '/', 'X-Request-Id: a-2\r\n')
    const length = /content-length: (\d+)/i.exec(text)![1]!
    expect(await logged('a-2')).to.equal(`a-2|-|-|-|-|E_BALANCE_NO_ENDPOINT|agent|text/plain|${length}`)
  })

  it('names the request in what a rule answers, as the log does', async () => {
    expect((await ask('ruled', '/', 'X-Request-Id: a-4\r\n')).text).to.match(/^x-request-id: a-4\r$/im)
    const id = /^x-request-id: (.*)\r$/im.exec((await ask('ruled', '/')).text)![1]!
    expect(id).to.match(uuid)
    expect(await logged(id)).to.include('|agent|')
  })

  it('names the request in an error of ours: the caller’s own id, or the one in the log', async () => {
    expect((await ask('empty', '/', 'X-Request-Id: a-3\r\n')).text).to.match(/^x-request-id: a-3\r$/im)
    const { text } = await ask('empty', '/')
    const id = /^x-request-id: (.*)\r$/im.exec(text)![1]!
    expect(id).to.match(uuid)
    expect(await logged(id)).to.include('E_BALANCE_NO_ENDPOINT')
    const long = await ask('empty', '/', `X-Request-Id: ${'x'.repeat(129)}\r\n`)
    expect(long.text)
      .to.match(/^HTTP\/1\.1 503 /)
      .and.not.match(/^x-request-id/im)
  })
})
