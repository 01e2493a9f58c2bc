/**
 * A center is killed again and again, at any moment of ten writes a second: what it acknowledged is there afterwards,
 * whole, and nobody who calls through an agent of it notices. `npm run soak:center`: twenty times.
 */
import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { CenterWithAgent, killWhole } from '../../support/center/center-with-agent.ts'
import { RuleWriter } from '../../support/center/rule-writer.ts'
import { SteadyCalls } from '../../support/mesh/steady-calls.ts'
import { sharedPort, until } from '../../support/mesh/mesh.ts'

const kills = Number(process.env['HOSTMESH_KILLS'] ?? 2)

describe('a center that is killed under writes', function () {
  this.timeout(60_000 + kills * 60_000)
  let bench: CenterWithAgent
  before(async () => {
    bench = await CenterWithAgent.open()
  })
  after(() => bench?.close())
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(bench?.mesh.report())
  })

  it(`loses no acknowledged write in ${kills} deaths, and no caller of an agent notices`, async () => {
    const { agent, center } = bench
    const calls = new SteadyCalls({ address: agent.options.address, port: sharedPort, service: 'orders' }, 4, 5)
    const writer = new RuleWriter(bench)
    const away: number[] = []
    try {
      for (let kill = 0; kill < kills; kill++) {
        const before = writer.acknowledged
        await until(30_000, 'ten writes are acknowledged', async () => writer.acknowledged >= before + 10)
        // not at the same moment of a write each time
        await pause(Math.random() * 100)
        if (kill % 2 === 0) await center.signal('generation', 'SIGKILL')
        else await killWhole(center)
        const atDeath = writer.acknowledged
        away.push(await until(60_000, 'it takes writes again', async () => writer.acknowledged > atDeath + 1))
      }
    } finally {
      await writer.stop()
      await calls.stop()
    }
    await writer.verify()
    const { calls: made, failed, answers } = calls.counts
    expect(failed, `of ${made} calls: ${JSON.stringify([...answers])}`).to.equal(0)
    console.info(
      `      ${writer.acknowledged} writes acknowledged and kept, ${made} calls, none failed; ` +
        `away ${Math.round(Math.min(...away))} to ${Math.round(Math.max(...away))} ms`,
    )
  })
})
