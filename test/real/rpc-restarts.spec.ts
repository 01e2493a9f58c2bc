/** The long form of `test/e2e/rpc/hot-restart.spec.ts`: `npm run soak:rpc`. */
import { expect } from 'chai'

import { boltSpeech, startRpcHost, throughRestarts } from '../support/rpc/through-restarts.ts'

const load = { connections: 200, inFlight: 100, restarts: Number(process.env['HOSTMESH_RESTARTS'] ?? 20) }

describe(`200 connections in Bolt with 100 requests in flight each, through ${load.restarts} hot restarts`, function () {
  this.timeout(1_200_000)

  it('lose no request, and none of them is closed', async () => {
    const bolt = await startRpcHost(boltSpeech)
    try {
      const found = await throughRestarts(bolt, load)
      console.log(`${found.answered} answered, ${found.cut} lost; moved at each restart: ${found.moved.join(' ')}`)
      expect(found).to.deep.include({ failures: [], cut: 0, lost: 0 })
      expect(found.moved).to.deep.equal(Array(load.restarts).fill(load.connections))
    } finally {
      expect(await bolt.host.end(), 'processes left').to.deep.equal([])
      await bolt.provider.close()
    }
  })
})
