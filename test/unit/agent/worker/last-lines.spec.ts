import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { freePort } from '../../../support/free-port.ts'
import { RawCaller } from '../../../support/http1/raw-caller.ts'
import { eventually } from '../../../support/worker/eventually.ts'
import { snapshotOf } from '../../../support/worker/snapshots.ts'
import { startWorker } from '../../../support/worker/start-worker.ts'
import { WorkerProcess } from '../../../support/worker/worker-process.ts'

describe('the last lines of the access log', function () {
  this.timeout(60_000)
  let folder: string
  let path: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-last-lines-'))
    path = join(folder, 'access.log')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const mesh = () => ({ accessLog: { format: 'text', path, share: 1 } as const })

  it('are in the file when a worker has ended, also the first one', async () => {
    const port = await freePort()
    const services = [{ name: 'orders', endpoints: [] }]
    const listen = { orders: { address: '127.0.0.1', port } }
    const worker = await WorkerProcess.start(snapshotOf({ services, listen, mesh: mesh() }))
    try {
      const caller = await RawCaller.open(port)
      caller.send('GET /last HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n')
      await caller.closed()
      process.kill(worker.pid, 'SIGTERM')
      await eventually(() => !worker.isRunning, 30_000)
      expect(readFileSync(path, 'utf8')).to.include('"GET /last HTTP/1.1" 503')
    } finally {
      await worker.stop()
    }
  })

  it('tell of the requests that the end of a worker cuts off', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    const services = [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port }] }]
    const started = await startWorker({ services, mesh: mesh() })
    const caller = await RawCaller.open(started.port('orders'))
    caller.send('GET /cut HTTP/1.1\r\nHost: orders\r\n\r\n')
    await eventually(() => started.metric('hostmesh_requests_in_flight') === 1)
    started.stop()
    await started.worker.logWritten(60_000)
    expect(readFileSync(path, 'utf8')).to.include('"GET /cut HTTP/1.1"')
    caller.close()
    await new Promise((resolve) => silent.close(resolve))
  })
})
