/**
 * The cases of gRPC's interop description (grpc/grpc doc/interop-test-descriptions.md) that need no credentials, by
 * callers and applications of grpc-js: through one agent, and through two in a row. A case passes when both sides see
 * what they would see without the mesh.
 */
import { Buffer } from 'node:buffer'

import * as grpc from '@grpc/grpc-js'
import { expect } from 'chai'

import type { RetrySpec } from '../../../contracts/route-spec.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const same = (bytes: Buffer): Buffer => bytes
const plain = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same }
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Test/${name}`,
  requestStream,
  responseStream,
  ...plain,
})
const methods = {
  unary: method('Unary', false, false),
  upload: method('Upload', true, false),
  download: method('Download', false, true),
  duplex: method('Duplex', true, true),
}
const stranger = { unary: method('Unary', false, false) }
const special = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n'

class Application {
  readonly server = new grpc.Server()
  readonly cancelled: string[] = []
  readonly timeouts: (string | undefined)[] = []
  calls = 0
  failures = 0

  async start(): Promise<number> {
    const echo = (metadata: grpc.Metadata): grpc.Metadata => {
      const initial = new grpc.Metadata()
      for (const value of metadata.get('x-grpc-test-echo-initial')) initial.set('x-grpc-test-echo-initial', value)
      return initial
    }
    const trailing = (metadata: grpc.Metadata): grpc.Metadata => {
      const made = new grpc.Metadata()
      for (const value of metadata.get('x-grpc-test-echo-trailing-bin'))
        made.set('x-grpc-test-echo-trailing-bin', value)
      return made
    }
    this.server.addService(methods, {
      unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
        this.calls++
        if (this.failures === 0) call.sendMetadata(echo(call.metadata))
        const [code] = call.metadata.get('x-code')
        if (this.failures > 0) {
          this.failures--
          reply({ code: grpc.status.UNAVAILABLE, details: 'busy' })
        } else if (code === undefined) reply(null, call.request, trailing(call.metadata))
        else
          reply({
            code: Number(code),
            details: call.metadata.get('x-special').length > 0 ? special : 'test status message',
          })
      },
      upload: (call: grpc.ServerReadableStream<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
        let bytes = 0
        call.on('cancelled', () => this.cancelled.push('upload'))
        call.on('data', (piece: Buffer) => (bytes += piece.length))
        call.on('end', () => reply(null, Buffer.from(String(bytes))))
      },
      download: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
        call.on('cancelled', () => this.cancelled.push('download'))
        if (call.request.length === 0) return
        for (const size of call.request.toString().split(',')) call.write(Buffer.alloc(Number(size), 7))
        call.end()
      },
      duplex: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.sendMetadata(echo(call.metadata))
        call.on('cancelled', () => this.cancelled.push('duplex'))
        call.on('data', (piece: Buffer) => call.write(piece))
        call.on('end', () => call.end(trailing(call.metadata)))
      },
    })
    return new Promise((resolve, reject) => {
      this.server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port)
        else reject(error)
      })
    })
  }
}

type Client = grpc.Client & {
  unary(
    request: Buffer,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    done: grpc.requestCallback<Buffer>,
  ): grpc.ClientUnaryCall
  upload(done: grpc.requestCallback<Buffer>): grpc.ClientWritableStream<Buffer>
  download(request: Buffer, options?: grpc.CallOptions): grpc.ClientReadableStream<Buffer>
  duplex(metadata?: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<Buffer, Buffer>
}

interface Outcome {
  readonly code: grpc.status
  readonly details: string
  readonly reply: Buffer | undefined
  readonly initial: grpc.Metadata
  readonly trailing: grpc.Metadata
}

for (const agents of [1, 2]) {
  describe(`gRPC through ${agents === 1 ? 'one agent' : 'two agents in a row'}`, () => {
    let application: Application
    let workers: StartedWorker[]
    let client: Client
    let port: number

    const start = async (retry?: RetrySpec): Promise<void> => {
      let next = await application.start()
      for (let i = 0; i < agents; i++) {
        const metadata: Record<string, string> = i === 0 ? {} : { 'hostmesh.inbound': 'true' }
        const endpoints = [{ address: '127.0.0.1', port: next, metadata }]
        const isFirst = i === agents - 1
        const route = isFirst && retry !== undefined ? { retry } : {}
        const worker = await startWorker({ services: [{ name: 'calls', protocol: 'grpc', endpoints, route }] })
        workers.unshift(worker)
        next = worker.port('calls')
      }
      port = next
      const Made = grpc.makeGenericClientConstructor(methods, 'test.Test')
      client = new Made(`127.0.0.1:${port}`, grpc.credentials.createInsecure()) as unknown as Client
    }

    beforeEach(() => {
      application = new Application()
      workers = []
    })

    afterEach(() => {
      client.close()
      for (const worker of workers) worker.stop()
      application.server.forceShutdown()
    })

    const unary = (
      request: Buffer,
      fields: Record<string, string | Buffer> = {},
      options: grpc.CallOptions = {},
    ): Promise<Outcome> => {
      const metadata = new grpc.Metadata()
      for (const [name, value] of Object.entries(fields)) metadata.set(name, value)
      return new Promise((resolve) => {
        let initial = new grpc.Metadata()
        let reply: Buffer | undefined
        const call = client.unary(request, metadata, options, (_error, value) => (reply = value))
        call.on('metadata', (got: grpc.Metadata) => (initial = got))
        call.on('status', ({ code, details, metadata: trailing }: grpc.StatusObject) => {
          setImmediate(() => resolve({ code, details, reply, initial, trailing }))
        })
      })
    }
    const statusOf = (call: grpc.ClientReadableStream<Buffer> | grpc.ClientDuplexStream<Buffer, Buffer>) =>
      new Promise<grpc.StatusObject>((resolve) => {
        call.on('error', () => {})
        call.on('status', resolve)
      })
    const pieces = (call: grpc.ClientReadableStream<Buffer> | grpc.ClientDuplexStream<Buffer, Buffer>): number[] => {
      const sizes: number[] = []
      call.on('data', (piece: Buffer) => sizes.push(piece.length))
      return sizes
    }

    it('empty_unary, large_unary', async () => {
      await start()
      const empty = await unary(Buffer.alloc(0))
      expect([empty.code, empty.reply?.length]).to.deep.equal([grpc.status.OK, 0])
      const bytes = Buffer.alloc(271_828, 5)
      const large = await unary(bytes)
      expect(large.code).to.equal(grpc.status.OK)
      expect(large.reply?.equals(bytes)).to.equal(true)
      const { metric } = workers[0]!
      expect(metric('istio_requests_total', 'grpc', '200', '0')).to.equal(2)
      expect(metric('istio_request_messages_total', 'grpc')).to.equal(2)
      expect(metric('istio_response_messages_total', 'grpc')).to.equal(2)
    })

    it('client_streaming, server_streaming', async () => {
      await start()
      const total = await new Promise<string>((resolve, reject) => {
        const call = client.upload((error, value) => (error === null ? resolve(value!.toString()) : reject(error)))
        for (const size of [27_182, 8, 1828, 45_904]) call.write(Buffer.alloc(size))
        call.end()
      })
      expect(total).to.equal('74922')
      const call = client.download(Buffer.from('31415,9,2653,58979'))
      const sizes = pieces(call)
      expect((await statusOf(call)).code).to.equal(grpc.status.OK)
      expect(sizes).to.deep.equal([31_415, 9, 2653, 58_979])
      expect(workers[0]!.metric('istio_request_messages_total')).to.equal(5)
      expect(workers[0]!.metric('istio_response_messages_total')).to.equal(5)
    })

    it('ping_pong, empty_stream', async () => {
      await start()
      const call = client.duplex()
      const sizes = pieces(call)
      const status = statusOf(call)
      const wanted = [27_182, 8, 1828, 45_904]
      for (const [index, size] of wanted.entries()) {
        call.write(Buffer.alloc(size))
        await eventually(() => sizes.length === index + 1)
        // counted while the call runs
        await eventually(() => workers[0]!.metric('istio_response_messages_total') === index + 1)
      }
      call.end()
      expect((await status).code).to.equal(grpc.status.OK)
      expect(sizes).to.deep.equal(wanted)
      const empty = client.duplex()
      const none = pieces(empty)
      const ended = statusOf(empty)
      empty.end()
      expect([(await ended).code, none.length]).to.deep.equal([grpc.status.OK, 0])
    })

    it('custom_metadata, of a unary call and of a stream, binary too', async () => {
      await start()
      const bin = Buffer.from([0xab, 0xab, 0xab, 0, 0xff])
      const fields = { 'x-grpc-test-echo-initial': 'test_initial_metadata_value', 'x-grpc-test-echo-trailing-bin': bin }
      const { initial, trailing } = await unary(Buffer.from('x'), fields)
      expect(initial.get('x-grpc-test-echo-initial')).to.deep.equal(['test_initial_metadata_value'])
      expect((trailing.get('x-grpc-test-echo-trailing-bin')[0] as Buffer).equals(bin)).to.equal(true)
      const metadata = new grpc.Metadata()
      for (const [name, value] of Object.entries(fields)) metadata.set(name, value)
      const call = client.duplex(metadata)
      let seen: grpc.MetadataValue[] = []
      call.on('metadata', (got: grpc.Metadata) => (seen = got.get('x-grpc-test-echo-initial')))
      pieces(call)
      const status = statusOf(call)
      call.end()
      const [value] = (await status).metadata.get('x-grpc-test-echo-trailing-bin')
      expect([seen, (value as Buffer).equals(bin)]).to.deep.equal([['test_initial_metadata_value'], true])
    })

    it('status_code_and_message, special_status_message, unimplemented_method, unimplemented_service', async () => {
      await start()
      const named = await unary(Buffer.from('x'), { 'x-code': '2' })
      expect([named.code, named.details]).to.deep.equal([2, 'test status message'])
      const odd = await unary(Buffer.from('x'), { 'x-code': '2', 'x-special': '1' })
      expect([odd.code, odd.details]).to.deep.equal([2, special])
      for (const path of ['/test.Test/Missing', '/test.Other/Unary']) {
        const Made = grpc.makeGenericClientConstructor({ unary: { ...stranger.unary, path } }, 'x')
        const other = new Made(`127.0.0.1:${port}`, grpc.credentials.createInsecure()) as unknown as Client
        const code = await new Promise((resolve) => {
          other.unary(Buffer.from('x'), new grpc.Metadata(), {}, (error) => resolve(error?.code))
        })
        other.close()
        expect(code, path).to.equal(grpc.status.UNIMPLEMENTED)
      }
    })

    it('cancel_after_begin, cancel_after_first_response', async () => {
      await start()
      const code = await new Promise((resolve) => {
        const call = client.upload((error) => resolve(error?.code))
        call.write(Buffer.from('x'))
        void eventually(() => workers[0]!.metric('istio_request_messages_total') === 1).then(() => call.cancel())
      })
      expect(code).to.equal(grpc.status.CANCELLED)
      await eventually(() => application.cancelled.includes('upload'))
      const call = client.duplex()
      const sizes = pieces(call)
      const status = statusOf(call)
      call.write(Buffer.from('x'))
      await eventually(() => sizes.length === 1)
      call.cancel()
      expect((await status).code).to.equal(grpc.status.CANCELLED)
      await eventually(() => application.cancelled.includes('duplex'))
    })

    it('timeout_on_sleeping_server: the deadline is enforced on the way, and is shrunk', async () => {
      await start()
      // on a connection that is there, so that the call is under way well before its deadline
      await unary(Buffer.alloc(0))
      const call = client.duplex(new grpc.Metadata(), { deadline: Date.now() + 500 })
      expect((await statusOf(call)).code).to.equal(grpc.status.DEADLINE_EXCEEDED)
      await eventually(() => application.cancelled.includes('duplex'))
    })

    it('an endpoint that is not there is UNAVAILABLE, with the code of the mesh in its message', async () => {
      await start()
      application.server.forceShutdown()
      await new Promise((resolve) => application.server.tryShutdown(resolve))
      const { code, details } = await unary(Buffer.from('x'))
      expect(code).to.equal(grpc.status.UNAVAILABLE)
      expect(details).to.match(/^E_[A-Z_]+ {2}/)
    })

    it('is repeated by the statuses that a rule names', async () => {
      await start({ attempts: 2, perTryTimeoutMs: 0, on: ['unavailable'], statuses: [], backoffMs: 1 })
      application.failures = 2
      const { code } = await unary(Buffer.from('x'))
      expect([code, application.calls]).to.deep.equal([grpc.status.OK, 3])
    })
  })
}
