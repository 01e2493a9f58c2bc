/** The four interop cases of gRPC about compression (grpc/grpc doc/interop-test-descriptions.md). */
import { expect } from 'chai'

import { CompressingApplication, callCompressed } from '../../support/http2/compressed-calls.ts'
import type { Message } from '../../support/http2/compressed-calls.ts'
import { workersBefore } from '../../support/http2/interop-chain.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

for (const agents of [1, 2]) {
  describe(`compressed messages of gRPC through ${agents === 1 ? 'one agent' : 'two agents in a row'}`, () => {
    const application = new CompressingApplication()
    let workers: StartedWorker[]

    before(async () => {
      workers = await workersBefore(await application.start(), agents)
    })

    after(() => {
      for (const worker of workers) worker.stop()
      application.close()
    })

    const call = (messages: readonly Message[]): ReturnType<typeof callCompressed> =>
      callCompressed(workers[0]!.port('calls'), messages)
    const plain = (size: number): { isCompressed: boolean; size: number } => ({ isCompressed: false, size })
    const packed = (size: number): { isCompressed: boolean; size: number } => ({ isCompressed: true, size })

    it('client_compressed_unary', async () => {
      const probe = await call([{ isCompressed: false, expectsCompressed: true, size: 271_828 }])
      expect([probe.status, probe.replies]).to.deep.equal(['3', []])
      for (const isCompressed of [true, false]) {
        const heard = await call([{ isCompressed, expectsCompressed: isCompressed, size: 271_828 }])
        expect([heard.status, heard.replies]).to.deep.equal(['0', [plain(271_828)]])
      }
    })

    it('server_compressed_unary, which is told how what came is packed', async () => {
      const heard = await call([{ isCompressed: false, wantsCompressed: true, size: 314_159 }])
      expect(heard).to.deep.equal({ status: '0', encoding: 'gzip', accepted: 'gzip', replies: [packed(314_159)] })
      const other = await call([{ isCompressed: false, wantsCompressed: false, size: 314_159 }])
      expect([other.status, other.replies]).to.deep.equal(['0', [plain(314_159)]])
    })

    it('client_compressed_streaming', async () => {
      const probe = await call([{ isCompressed: false, expectsCompressed: true, size: 27_182 }])
      expect(probe.status).to.equal('3')
      const heard = await call([
        { isCompressed: true, expectsCompressed: true, size: 27_182 },
        { isCompressed: false, expectsCompressed: false, size: 45_904 },
      ])
      expect([heard.status, heard.replies]).to.deep.equal(['0', [plain(27_182), plain(45_904)]])
    })

    it('server_compressed_streaming, whose messages are counted whatever they are packed in', async () => {
      const before = workers[0]!.metric('istio_response_messages_total')
      const heard = await call([
        { isCompressed: false, wantsCompressed: true, size: 31_415 },
        { isCompressed: false, wantsCompressed: false, size: 92_653 },
      ])
      expect([heard.status, heard.replies]).to.deep.equal(['0', [packed(31_415), plain(92_653)]])
      expect(workers[0]!.metric('istio_response_messages_total') - before).to.equal(2)
    })
  })
}
