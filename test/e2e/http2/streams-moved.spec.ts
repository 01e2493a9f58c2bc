import { shortCallsThroughRestarts, throughRestarts } from '../../support/http2/streams-through-restarts.ts'

describe('bidirectional calls of gRPC, with real workers, through hot restarts', function () {
  this.timeout(120_000)

  it('lose no message of 200 calls that speak ten times a second', async () => {
    await throughRestarts({ connections: 40, callsEach: 5, perSecond: 10, restarts: 3 })
  })

  it('move by hundreds that share one connection to their endpoint', async () => {
    await throughRestarts({ connections: 450, callsEach: 1, perSecond: 1, restarts: 2, workers: 1 })
  })

  it('lose no short call of 32 channels, and no channel', async () => {
    await shortCallsThroughRestarts(32, 3)
  })
})
