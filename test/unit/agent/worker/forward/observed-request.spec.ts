import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect } from 'chai'

import { probeRequest } from '../../../../../contracts/handoff.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

describe('what metrics and access log say of a request', () => {
  let folder: string
  let backend: RecordingBackend
  let started: StartedWorker

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-observed-'))
    backend = await RecordingBackend.start()
    started = await startWorker({
      services: [
        {
          name: 'orders',
          endpoints: [{ address: '127.0.0.1', port: backend.port }],
          route: { retry: { attempts: 2, perTryTimeoutMs: 0, on: ['reset'], statuses: [], backoffMs: 1 } },
        },
      ],
      mesh: {
        accessLog: { format: 'json', path: join(folder, 'access.log'), share: 1 },
        tracing: { createMissing: true, sampledShare: 1 },
      },
    })
  })

  afterEach(async () => {
    started.stop()
    await backend.close()
    rmSync(folder, { recursive: true })
  })

  async function ask(port: number, target: string, host: string, fields = ''): Promise<string> {
    const caller = await RawCaller.open(port)
    caller.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields}Connection: close\r\n\r\n`)
    await caller.closed()
    caller.close()
    return caller.text
  }

  function lines(): Record<string, unknown>[] {
    const file = join(folder, 'access.log')
    if (!existsSync(file)) return []
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  it('leaves out probes of the watchdog', async () => {
    const { port } = await started.worker.listenForProbes()
    expect(await ask(port, probeRequest.path, probeRequest.host)).to.match(/^HTTP\/1\.1 200 /)
    expect(await ask(port, '/', 'orders')).to.match(/^HTTP\/1\.1 404 /)
    expect(await ask(started.port('orders'), '/real', 'orders')).to.match(/^HTTP\/1\.1 200 /)
    await eventually(() => lines().length > 0)
    expect(lines().map((line) => line['path'])).to.deep.equal(['/real'])
    expect(started.metric('istio_requests_total')).to.equal(1)
  })

  it('has the trace that was begun for it, which is the same in all its attempts', async () => {
    backend.answer = (_message, connection) => {
      backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
      connection.socket.destroy()
      return undefined
    }
    await ask(started.port('orders'), '/', 'orders')
    await ask(started.port('orders'), '/', 'orders')
    const sent = backend.connections.flatMap(({ bytes }) => [
      ...bytes.toString().matchAll(/traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-01\r\n/g),
    ])
    const [first, again, other] = sent.map(([, trace]) => trace)
    expect(sent).to.have.length(3)
    expect(first).to.equal(again).and.not.to.equal(other)
    expect(new Set(sent.map(([, , span]) => span)).size, 'each attempt is a span').to.equal(3)
    await eventually(() => lines().length === 2)
    expect(lines().map((line) => line['trace_id'])).to.deep.equal([first, other])
  })

  it('has the trace that the caller brought', async () => {
    const trace = '1'.repeat(32)
    await ask(started.port('orders'), '/', 'orders', `traceparent: 00-${trace}-2222222222222222-01\r\n`)
    await eventually(() => lines().length === 1)
    expect(lines()[0]!['trace_id']).to.equal(trace)
  })
})
