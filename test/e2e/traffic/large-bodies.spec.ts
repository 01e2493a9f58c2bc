/** Uploads larger than what an agent keeps for a repeat, to an application that starts again behind its agent. */
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { expect } from 'chai'

import { keyOf } from '../../support/worker/snapshots.ts'
import { freePort } from '../../support/free-port.ts'
import { RawCaller } from '../../support/http1/raw-caller.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const bytes = 400_000
const content = Buffer.alloc(bytes, 'x')

describe('an upload that only one agent has any more', function () {
  this.timeout(20_000)
  let port: number
  let server: Server | undefined
  let started: StartedWorker
  let taken: number[]

  beforeEach(async () => {
    port = await freePort()
    taken = []
    started = await startWorker({ services: [{ name: 'local', endpoints: [{ address: '127.0.0.1', port }] }] })
    const base = { address: '127.0.0.1', port: 0, proxyProtocol: 'off', protocol: 'http' } as const
    const key = keyOf('local')
    await started.change({
      listeners: { in: { ...base, name: 'in', kind: 'inbound', service: key, virtualHost: key, app: 'local' } },
    })
  })
  afterEach(() => {
    started.stop()
    server?.close()
    server?.closeAllConnections()
    server = undefined
  })

  async function startApplication(): Promise<void> {
    const made = createServer((request, response) => {
      let count = 0
      request.on('data', (chunk: Buffer) => (count += chunk.length))
      request.on('end', () => {
        taken.push(count)
        response.end('done')
      })
    })
    await new Promise<void>((resolve) => made.listen(port, '127.0.0.1', resolve))
    server = made
  }

  async function upload(head: string, body: Buffer): Promise<RawCaller> {
    const caller = await RawCaller.open(started.port('in'))
    caller.send(Buffer.concat([Buffer.from(`POST /pay HTTP/1.1\r\nHost: local\r\n${head}\r\n\r\n`), body]))
    return caller
  }

  const chunked = Buffer.concat([Buffer.from(`${bytes.toString(16)}\r\n`), content, Buffer.from('\r\n0\r\n\r\n')])
  for (const [form, head, body] of [
    ['of known length', `Content-Length: ${bytes}`, content],
    ['in chunks', 'Transfer-Encoding: chunked', chunked],
  ] as const) {
    it(`waits for an application whose port is shut (${form}), and is executed once`, async () => {
      const caller = await upload(head, body)
      await eventually(() => waits() > 2)
      await startApplication()
      await caller.expect('done')
      expect(taken).to.deep.equal([bytes])
      caller.close()
    })
  }

  const waits = (): number => started.metric('hostmesh_application_waits_total') ?? 0

  it('is told that it was not delivered when the application does not come back', async () => {
    const caller = await upload(`Content-Length: ${bytes}`, content)
    await caller.expect(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_(?:CONNECT_REFUSED|BALANCE_NO_ENDPOINT)/)
    caller.close()
  })

  it('does not wait where its caller still has all of it', async () => {
    const caller = await upload('Content-Length: 5', Buffer.from('hello'))
    await caller.expect(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_CONNECT_REFUSED/)
    caller.close()
    // content that comes bit by bit, as that of a stream of messages does, is kept by its caller's agent
    const dripping = await upload('Transfer-Encoding: chunked', Buffer.from('5\r\nhello\r\n'))
    await dripping.expect(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_(?:CONNECT_REFUSED|BALANCE_NO_ENDPOINT)/)
    dripping.close()
    expect(waits()).to.equal(0)
  })
})
