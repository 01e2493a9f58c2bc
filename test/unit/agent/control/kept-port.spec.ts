import { expect } from 'chai'
import { KeptPort } from '../../../../agent/control/kept-port.ts'
import { MeshError } from '../../../../contracts/errors.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import { recordingLog } from './support/fake-registry.ts'

const taken = new MeshError('E_LISTEN_IN_USE', '127.0.0.1:15000: taken by another process')

function bench() {
  const clock = manualClock()
  const log = recordingLog()
  const seen = { tries: 0, isTaken: true }
  const listen = (): Promise<number> => {
    seen.tries++
    return seen.isTaken ? Promise.reject(taken) : Promise.resolve(15_000)
  }
  const port = new KeptPort('api port', listen, { clock, log })
  /** Lets time pass, and what it woke run. */
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 50) {
      clock.advance(50)
      await new Promise(setImmediate)
    }
  }
  return { log, port, seen, pass }
}

describe('a port that only the leading generation has', () => {
  it('is tried again until the predecessor has let go, without a word when that is soon', async () => {
    const { log, port, seen, pass } = bench()
    await port.open()
    expect(seen.tries).to.equal(1)
    await pass(200)
    expect(port.problem, 'a moment is no fault').to.equal(undefined)
    seen.isTaken = false
    await pass(1000)
    const { tries } = seen
    await pass(10_000)
    expect(seen.tries, 'no more once it listens').to.equal(tries)
    expect(log.lines).to.deep.equal([])
  })

  it('is there at most 200 ms after a predecessor that needs seconds to let go', async () => {
    const { port, seen, pass } = bench()
    await port.open()
    await pass(8000)
    expect(port.problem, 'that is said').to.include('E_LISTEN_IN_USE')
    seen.isTaken = false
    await pass(200)
    expect(port.problem).to.equal(undefined)
  })

  it('is a fault that is said once while somebody else has it, and none any more afterwards', async () => {
    const { log, port, seen, pass } = bench()
    await port.open()
    await pass(60_000)
    const text =
      'api port: E_LISTEN_IN_USE  127.0.0.1:15000: taken by another process; tried again, traffic is not touched'
    expect(port.problem).to.equal(text)
    expect(log.lines).to.deep.equal([{ level: 'error', fields: { code: 'E_LISTEN_IN_USE' }, message: text }])
    expect(seen.tries, 'pauses grow to 5 s').to.be.within(50, 75)
    seen.isTaken = false
    await pass(5000)
    expect(port.problem).to.equal(undefined)
  })

  it('is tried no more when it is closed', async () => {
    const { port, seen, pass } = bench()
    await port.open()
    port.close()
    await pass(10_000)
    expect(seen.tries).to.equal(1)
  })
})
