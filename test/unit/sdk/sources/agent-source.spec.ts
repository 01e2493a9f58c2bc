import { expect } from 'chai'
import { AgentSource } from '../../../../sdk/sources/agent-source.ts'
import { systemClock } from '../../../../contracts/clock.ts'
import { changeProtocol, startHostileServer } from '../../../support/hostile-server.ts'
import { eventually } from '../../../support/worker/eventually.ts'

/** Of a question to the agent. */
const answerTimeoutMs = 2000

describe('what the agent says to the SDK', () => {
  it('is asked for again where somebody changes the protocol at its port', async () => {
    let asked = 0
    const server = await startHostileServer((socket, line) => {
      asked++
      changeProtocol(socket, line)
    })
    const source = new AgentSource({
      // its pauses alone pass
      clock: { ...systemClock, after: (ms, call) => systemClock.after(ms === answerTimeoutMs ? 60_000 : 0, call) },
      address: { host: '127.0.0.1', port: server.port },
      kept: undefined,
      onChange: () => {},
    })
    source.start()
    await source.whenHeard()
    expect(source).to.include({ isAway: true, isAnswering: false })
    await eventually(() => asked > 1)
    source.close()
    await server.stop()
  })
})
