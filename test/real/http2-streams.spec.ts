/** The long form of `test/e2e/http2/streams-moved.spec.ts`: `npm run soak:streams`. */
import { shortCallsThroughRestarts, throughRestarts } from '../support/http2/streams-through-restarts.ts'

describe('calls of gRPC through twenty hot restarts', function () {
  this.timeout(600_000)

  it('200 bidirectional calls lose no message', async () => {
    await throughRestarts({ connections: 40, callsEach: 5, perSecond: 10, restarts: 20 })
  })

  it('32 channels lose no short call', async () => {
    await shortCallsThroughRestarts(32, 20)
  })
})
