import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect } from 'chai'

import { RequestId } from '../../../../../agent/worker/forward/request-id.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import type { ServicePlan } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe('the id of a request', () => {
  let folder: string
  let backend: RecordingBackend
  let copies: RecordingBackend
  let started: StartedWorker | undefined

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-request-id-'))
    backend = await RecordingBackend.start()
    copies = await RecordingBackend.start()
  })

  afterEach(async () => {
    started?.stop()
    started = undefined
    await backend.close()
    await copies.close()
    rmSync(folder, { recursive: true })
  })

  async function worker(route: ServicePlan['route'] = {}, generateRequestId = true): Promise<void> {
    started = await startWorker({
      services: [
        { name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }], route },
        { name: 'copies', endpoints: [{ address: '127.0.0.1', port: copies.port }] },
      ],
      mesh: {
        accessLog: { format: 'text', path: join(folder, 'access.log'), share: 1 },
        generateRequestId,
      },
    })
  }

  async function ask(fields = ''): Promise<void> {
    const caller = await RawCaller.open(started!.port('orders'))
    caller.send(`GET / HTTP/1.1\r\nHost: orders\r\nUser-Agent: test\r\n${fields}Connection: close\r\n\r\n`)
    await caller.closed()
    caller.close()
    expect(caller.text).to.match(/^HTTP\/1\.1 200 /)
  }

  const received = (by: RecordingBackend): string[] =>
    by.connections.flatMap(({ bytes }) =>
      [...bytes.toString().matchAll(/^x-request-id: (.*)\r$/gim)].map(([, value]) => value!),
    )

  /** `%REQ(X-REQUEST-ID)%` of Envoy's default lines. */
  async function logged(count: number): Promise<string[]> {
    const file = join(folder, 'access.log')
    const ids = () =>
      existsSync(file)
        ? [...readFileSync(file, 'utf8').matchAll(/"test" "([^"]*)" "orders"/g)].map(([, value]) => value!)
        : []
    await eventually(() => ids().length === count)
    return ids()
  }

  it('is the text of a UUID of version 4, of the numbers that it is given', () => {
    const id = new RequestId()
    const texts = new Set<string>()
    for (let n = 0; n < 1000; n++) {
      id.begin(Math.random)
      const text = id.bytes.toString()
      expect(text).to.match(uuid)
      texts.add(text)
    }
    expect(texts.size).to.equal(1000)
    id.begin(() => 0)
    expect(id.bytes.toString()).to.equal('00000000-0000-4000-8000-000000000000')
    id.begin(() => 1 - 2 ** -53)
    expect(id.bytes.toString()).to.equal('ffffffff-ffff-4fff-bfff-ffffffffffff')
  })

  it('is given to each request that came without one, and is in its line of the access log', async () => {
    await worker()
    await ask()
    await ask()
    const [first, second] = received(backend)
    expect(first).to.match(uuid)
    expect(second).to.match(uuid).and.not.to.equal(first)
    expect(await logged(2)).to.deep.equal([first, second])
  })

  for (const brought of ['caller-7', '']) {
    it(`stays as the caller said it: "${brought}"`, async () => {
      await worker()
      await ask(`X-Request-ID: ${brought}\r\n`)
      expect(received(backend)).to.deep.equal([brought])
      expect(await logged(1)).to.deep.equal([brought])
    })
  }

  it('is the same in all tries', async () => {
    backend.answer = (_message, connection) => {
      backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
      connection.socket.destroy()
      return undefined
    }
    await worker({ retry: { attempts: 2, perTryTimeoutMs: 0, on: ['reset'], statuses: [], backoffMs: 1 } })
    await ask()
    const ids = received(backend)
    expect(ids).to.have.length(2)
    expect(ids[0]).to.match(uuid).and.to.equal(ids[1])
    expect(await logged(1)).to.deep.equal([ids[0]])
  })

  it('is the same in copies', async () => {
    await worker({ mirrors: [{ destination: { service: 'public/DEFAULT_GROUP@@copies', weight: 100 }, share: 1 }] })
    await ask()
    await ask()
    await eventually(() => received(copies).length === 2)
    expect(received(backend)[0]).to.match(uuid)
    expect(received(copies)).to.have.members(received(backend))
  })

  it('is what a rule sets, once, and is not there where a rule removes it', async () => {
    await worker({ requestHeaders: { set: [['x-request-id', 'of-a-rule']], add: [], remove: [] } })
    await ask()
    expect(received(backend)).to.deep.equal(['of-a-rule'])
    started!.stop()
    await worker({ requestHeaders: { set: [], add: [], remove: ['x-request-id'] } })
    await ask()
    expect(received(backend)).to.deep.equal(['of-a-rule'])
  })

  it('is not given where that is switched off', async () => {
    await worker({}, false)
    await ask()
    expect(received(backend)).to.deep.equal([])
    expect(await logged(1)).to.deep.equal(['-'])
  })
})
