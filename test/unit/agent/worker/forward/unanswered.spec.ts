import { expect } from 'chai'

import { concurrency } from '../../../../support/balance.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

describe('an adaptive limit on requests of a worker', () => {
  const limit = { ...concurrency, minLimit: 1, maxLimit: 1 }
  const callers: RawCaller[] = []
  let backend: RecordingBackend
  let started: StartedWorker

  const active = (): number => started.metric('hostmesh_cluster_active_requests')
  const unanswered = (): number => started.metric('hostmesh_cluster_unanswered_requests')

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    backend.answer = ({ target }, connection) => {
      if (target === '/socket') {
        connection.hasSwitched = true
        return 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
      }
      if (target === '/events') return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n'
      return target === '/silent' ? undefined : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    }
  })

  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close()
    started.stop()
    await backend.close()
  })

  async function start(protocol: 'http' | 'tcp'): Promise<void> {
    const endpoints = [{ address: '127.0.0.1', port: backend.port }]
    started = await startWorker({ services: [{ name: 'orders', protocol, endpoints, policy: { concurrency: limit } }] })
  }

  async function ask(path: string, more = ''): Promise<RawCaller> {
    const caller = await RawCaller.open(started.port('orders'))
    callers.push(caller)
    caller.send(`GET ${path} HTTP/1.1\r\nHost: orders\r\n${more}\r\n`)
    return caller
  }

  it('holds for requests without a reply: open WebSockets and streams of events leave their place', async () => {
    await start('http')
    const events = await ask('/events')
    await events.expect('hi')
    const socket = await ask('/socket', 'Connection: Upgrade\r\nUpgrade: websocket\r\n')
    await socket.expect('101')
    expect([active(), unanswered()]).to.deep.equal([2, 0])
    const silent = await ask('/silent')
    await eventually(() => unanswered() === 1)
    await (await ask('/')).expect('E_BALANCE_CONCURRENCY')
    silent.close()
    await eventually(() => unanswered() === 0)
    await (await ask('/')).expect(/^HTTP\/1\.1 200/)
    for (const caller of callers) caller.close()
    await eventually(() => active() === 0)
    expect(unanswered()).to.equal(0)
  })

  it('does not hold for raw connections', async () => {
    await start('tcp')
    for (let nth = 0; nth < 3; nth++) await (await ask('/')).expect(/^HTTP\/1\.1 200/)
    expect([active(), unanswered()]).to.deep.equal([3, 0])
    for (const caller of callers) caller.close()
    await eventually(() => active() === 0)
    expect(unanswered()).to.equal(0)
  })
})
