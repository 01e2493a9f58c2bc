/** The 147 cases of h2spec against a port of a worker, strictly. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'

import { goTool, h2spec } from '../../support/go-tool.ts'
import { endpointOf } from '../../support/worker/snapshots.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

describe('h2spec', function () {
  this.timeout(180_000)
  let program: string
  let backend: Http2Server
  let worker: StartedWorker

  before(async function () {
    const tool = await goTool(h2spec)
    if ('missing' in tool) {
      console.warn(tool.missing)
      this.skip()
    }
    program = tool.program
    backend = http2.createServer((request, response) => {
      request.resume()
      request.on('end', () => response.end('some words of content'))
    })
    backend.listen(0, '127.0.0.1')
    await once(backend, 'listening')
    const endpoints = [endpointOf('127.0.0.1', (backend.address() as AddressInfo).port)]
    worker = await startWorker({ services: [{ name: 'orders', protocol: 'http2', endpoints }] })
  })

  after(() => {
    worker?.stop()
    backend?.close()
  })

  it('finds nothing at a port for HTTP/2', async () => {
    const words = ['-h', '127.0.0.1', '-p', String(worker.port('orders')), '-o', '5', '--strict']
    const output = await new Promise<string>((resolve) => {
      execFile(program, words, { maxBuffer: 1 << 24 }, (_error, stdout) => resolve(stdout))
    })
    const [, failures = ''] = output.split('\nFailures:')
    expect(failures, output.slice(-4000)).to.equal('')
    expect(output).to.match(/14[67] tests, 14[67] passed, 0 skipped, 0 failed/)
  })
})
