/** gRPC-Web before applications of gRPC. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'

import type { FilterSpec } from '../../../contracts/route-spec.ts'
import {
  beginReply,
  beginWebCall,
  decodeText,
  framesIn,
  grpcFrame,
  refuse,
  WebApplication,
  webCall,
} from '../../support/http2/web-calls.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { endpointOf } from '../../support/worker/snapshots.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const cors: FilterSpec = {
  kind: 'cors',
  allowOrigins: [{ exact: 'http://page.example' }],
  allowMethods: ['POST'],
  allowHeaders: ['content-type', 'x-grpc-web'],
  exposeHeaders: ['grpc-status', 'grpc-message'],
  allowCredentials: false,
}

describe('gRPC-Web', () => {
  const application = new WebApplication()
  const plain = createServer((incoming, outgoing) => {
    outgoing.setHeader('content-type', incoming.headers['content-type'] ?? '')
    incoming.pipe(outgoing)
  })
  let worker: StartedWorker
  let port: number

  before(async () => {
    const endpoints = [endpointOf('127.0.0.1', await application.start())]
    plain.listen(0, '127.0.0.1')
    await once(plain, 'listening')
    const retry = { attempts: 1, perTryTimeoutMs: 0, on: ['unavailable'], statuses: [], backoffMs: 1 } as const
    worker = await startWorker({
      services: [
        { name: 'calls', protocol: 'grpc', endpoints, route: { filters: [cors] } },
        { name: 'repeated', protocol: 'grpc', endpoints, route: { retry } },
        { name: 'nobody', protocol: 'grpc', endpoints: [] },
        { name: 'plain', endpoints: [endpointOf('127.0.0.1', (plain.address() as AddressInfo).port)] },
      ],
    })
    port = worker.port('calls')
  })

  beforeEach(() => application.reset())

  after(() => {
    worker.stop()
    application.close()
    plain.close()
  })

  it('becomes gRPC for the application, and its reply has the trailers as its last frame', async () => {
    const { content, headers, status } = await webCall(port, 'application/grpc-web+proto', [grpcFrame('hello')])
    expect([status, headers['content-type'], headers['x-initial']]).to.deep.equal([
      200,
      'application/grpc-web+proto',
      'one',
    ])
    expect(framesIn(content)).to.deep.equal(['0 hello', '128 grpc-status: 0\r\nx-trailing: two\r\n'])
    const [head] = application.heads
    expect([head!['content-type'], head!.te, head!['x-grpc-web']]).to.deep.equal([
      'application/grpc+proto',
      'trailers',
      undefined,
    ])
    expect(worker.metric('istio_requests_total', 'grpc', '200', '0')).to.equal(1)
    expect(worker.metric('istio_request_messages_total', 'grpc')).to.equal(1)
    expect(worker.metric('istio_response_messages_total', 'grpc')).to.equal(1)
    expect(worker.metric('hostmesh_grpc_web_calls_total')).to.equal(1)
  })

  for (const [how, cut] of [
    ['whole', (text: string) => [text]],
    ['letter by letter', (text: string) => text.split('')],
  ] as const) {
    it(`as text ${how}, each message padded by itself, is decoded, and so is its reply encoded`, async () => {
      const messages = [grpcFrame('a'), grpcFrame('some'), grpcFrame('words')]
      const text = messages.map((message) => message.toString('base64')).join('')
      const { content, headers } = await webCall(port, 'application/grpc-web-text', cut(text))
      expect(headers['content-type']).to.equal('application/grpc-web-text+proto')
      expect(content.toString('latin1')).to.match(/^[A-Za-z0-9+/=]*$/)
      expect(framesIn(decodeText(content.toString('latin1')))).to.deep.equal([
        '0 a',
        '0 some',
        '0 words',
        '128 grpc-status: 0\r\nx-trailing: two\r\n',
      ])
      expect(application.contents).to.deep.equal([Buffer.concat(messages)])
    })
  }

  it('gets text for a binary call that accepts only that', async () => {
    const options = { headers: { accept: 'application/grpc-web-text' } }
    const { content } = await webCall(port, 'application/grpc-web+proto', [grpcFrame('x')], options)
    expect(framesIn(decodeText(content.toString('latin1')))[0]).to.equal('0 x')
  })

  it('streams: a message is there before the next one is said', async () => {
    let sayMore = (): void => {}
    application.answer = (stream) => {
      beginReply(stream, { 'grpc-status': '0' })
      stream.write(grpcFrame('first'))
      sayMore = () => stream.end(grpcFrame('second'))
    }
    const incoming = await beginWebCall(port, 'application/grpc-web-text', [grpcFrame('x').toString('base64')])
    let text = ''
    incoming.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    await eventually(() => text !== '')
    expect(framesIn(decodeText(text))).to.deep.equal(['0 first'])
    sayMore()
    await once(incoming, 'end')
    expect(framesIn(decodeText(text))).to.deep.equal(['0 first', '0 second', '128 grpc-status: 0\r\n'])
  })

  it('has the status of a reply without messages in the head, which a page may read by the rule about origins', async () => {
    application.answer = refuse('5')
    const options = { headers: { origin: 'http://page.example' } }
    const { content, headers } = await webCall(port, 'application/grpc-web', [grpcFrame('x')], options)
    expect([headers['grpc-status'], headers['grpc-message'], content.length]).to.deep.equal(['5', 'no', 0])
    expect(headers['access-control-allow-origin']).to.equal('http://page.example')
    expect(headers['access-control-expose-headers']).to.equal('grpc-status,grpc-message')
    const preflight = await webCall(port, '', [], {
      method: 'OPTIONS',
      headers: { origin: 'http://page.example', 'access-control-request-method': 'POST' },
    })
    expect(preflight.headers['access-control-allow-headers']).to.equal('content-type,x-grpc-web')
    expect(application.heads).to.have.length(1)
  })

  it('is answered in its own words when there is no endpoint', async () => {
    const type = 'application/grpc-web-text+proto'
    const { headers, status } = await webCall(worker.port('nobody'), type, [grpcFrame('x').toString('base64')])
    expect([status, headers['content-type'], headers['grpc-status']]).to.deep.equal([200, type, '14'])
    expect(headers['grpc-message']).to.match(/^E_BALANCE_NO_ENDPOINT/)
  })

  it('hears in its last frame that a reply broke', async () => {
    application.answer = (stream) => {
      beginReply(stream, { 'grpc-status': '0' })
      stream.write(grpcFrame('first'))
      setImmediate(() => stream.close(2))
    }
    const { content } = await webCall(port, 'application/grpc-web', [grpcFrame('x')])
    const [first, last] = framesIn(content)
    expect([first, last?.split('\r\n')[0]]).to.deep.equal(['0 first', '128 grpc-status: 14'])
  })

  for (const [what, pieces] of [
    ['with letters that are no base64', ['AAAA', '####AAAA']],
    ['that ends inside a letter group', ['AAAAA']],
  ] as const) {
    it(`content ${what} is refused, and the application is not told an end`, async () => {
      const { headers } = await webCall(port, 'application/grpc-web-text', pieces)
      expect([headers['grpc-status'], headers['grpc-message']]).to.deep.equal([
        '13',
        'E_HTTP_BAD_REQUEST  the content of application/grpc-web-text is no base64',
      ])
      expect(application.contents).to.deep.equal([])
      await eventually(() => application.cancelled === application.heads.length)
    })
  }

  it('is repeated by a rule like any call, with the same content', async () => {
    let failures = 1
    const { answer } = application
    application.answer = (stream, content) => (failures-- > 0 ? refuse('14')(stream) : answer(stream, content))
    const text = grpcFrame('again').toString('base64')
    const { content } = await webCall(worker.port('repeated'), 'application/grpc-web-text', [text])
    expect(framesIn(decodeText(content.toString('latin1')))[0]).to.equal('0 again')
    expect(application.contents).to.deep.equal([grpcFrame('again'), grpcFrame('again')])
  })

  it('ends at the deadline that its caller set, in its own words', async () => {
    application.answer = () => {}
    const { headers } = await webCall(port, 'application/grpc-web', [grpcFrame('x')], {
      headers: { 'grpc-timeout': '300m' },
    })
    expect(headers['grpc-status']).to.equal('4')
    await eventually(() => application.cancelled === 1)
  })

  it('passes as it is to applications of another protocol', async () => {
    const type = 'application/grpc-web-text'
    const before = worker.metric('istio_requests_total', 'http', '200')
    const { content, headers } = await webCall(worker.port('plain'), type, ['no base64 at all'])
    expect([headers['content-type'], content.toString()]).to.deep.equal([type, 'no base64 at all'])
    expect(worker.metric('istio_requests_total', 'http', '200') - before).to.equal(1)
  })
})
