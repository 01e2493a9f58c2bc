import { expect } from 'chai'

import { RawCaller } from '../../../../../support/http1/raw-caller.ts'
import { beginWebCall, grpcFrame, WebApplication } from '../../../../../support/http2/web-calls.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'
import { endpointOf } from '../../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../../support/worker/start-worker.ts'

const type = 'application/grpc-web'

describe('a call in gRPC-Web', () => {
  let application: WebApplication
  let worker: StartedWorker

  beforeEach(async () => {
    application = new WebApplication()
    const endpoints = [endpointOf('127.0.0.1', await application.start())]
    const filters = [{ kind: 'fault-delay', share: 1, fixedMs: 100 } as const]
    worker = await startWorker({
      services: [
        { name: 'calls', protocol: 'grpc', endpoints },
        { name: 'late', protocol: 'grpc', endpoints, route: { filters } },
      ],
    })
  })

  afterEach(() => {
    worker.stop()
    application.close()
  })

  it('sees a reply broken that is none of gRPC and did not come to its end', async () => {
    let hasBegun = (): void => {}
    application.answer = (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'text/html' })
      stream.write('<html>half of a')
      hasBegun = () => stream.session!.destroy()
    }
    const incoming = await beginWebCall(worker.port('calls'), type, [grpcFrame('x')])
    incoming.on('error', () => {})
    incoming.once('data', () => hasBegun())
    await new Promise((resolve) => incoming.once('close', resolve))
    expect(incoming.complete).to.equal(false)
  })

  it('has its messages counted once, those too that came while it waited', async () => {
    const caller = await RawCaller.open(worker.port('late'))
    const content = Buffer.concat([grpcFrame('one'), grpcFrame('two')])
    caller.send(
      `POST /test.Test/Call HTTP/1.1\r\nHost: late\r\nContent-Type: ${type}\r\nContent-Length: ${content.length}\r\n\r\n`,
    )
    await eventually(() => worker.metric('hostmesh_requests_in_hand') === 1)
    caller.send(content.toString('latin1'))
    await caller.expect('grpc-status: 0')
    await eventually(() => worker.metric('hostmesh_requests_in_hand') === 0)
    expect(application.contents.map((one) => one.equals(content))).to.deep.equal([true])
    expect(worker.metric('istio_request_messages_total')).to.equal(2)
    caller.close()
  })
})
