/** The soak cases of gRPC's interop description, by grpc-go on both sides, through two agents. */
import { expect } from 'chai'

import { workersBefore } from '../support/http2/interop-chain.ts'
import { InteropPeers } from '../support/http2/interop.ts'

const limits = ['--soak_max_failures', '0', '--soak_overall_timeout_seconds', '900']

describe('grpc-go through two agents, for long', function () {
  this.timeout(1_000_000)

  for (const [name, iterations] of [
    ['rpc_soak', 10_000],
    ['channel_soak', 1000],
  ] as const) {
    it(`${name}: ${iterations} calls without a failure`, async () => {
      const peers = await InteropPeers.start()
      if ('missing' in peers) throw new Error(peers.missing)
      const workers = await workersBefore(peers.port, 2)
      try {
        const words = ['--soak_iterations', String(iterations), ...limits]
        expect(await peers.play(name, workers[0]!.port('calls'), words)).to.equal('')
        expect(workers[0]!.metric('istio_requests_total', 'grpc', '200', '0')).to.equal(iterations)
      } finally {
        for (const worker of workers) worker.stop()
        peers.close()
      }
    })
  }
})
