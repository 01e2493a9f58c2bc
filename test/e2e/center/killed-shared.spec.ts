/**
 * Two centers that share an etcd, or a Nacos, under ten writes a second, each write at one of them: any may be killed,
 * at any moment, and etcd itself. What was acknowledged is there afterwards, at both, whole, and nobody who calls
 * through an agent notices. `HOSTMESH_KILLS=20` for a long run.
 */
import { expect } from 'chai'
import { setTimeout as pause } from 'node:timers/promises'
import { CenterWithAgent, killWhole } from '../../support/center/center-with-agent.ts'
import { RuleWriter } from '../../support/center/rule-writer.ts'
import { needsEtcd, startEtcd, type EtcdServer } from '../../support/etcd/server.ts'
import { sharedPort, until } from '../../support/mesh/mesh.ts'
import { SteadyCalls } from '../../support/mesh/steady-calls.ts'
import { needsNacos, sharedNacos } from '../../support/nacos/server.ts'

const kills = Number(process.env['HOSTMESH_KILLS'] ?? 3)
const timeoutMs = 300_000 + kills * 60_000

describe('two centers on one store, killed under writes', function () {
  let bench: CenterWithAgent | undefined
  let etcd: EtcdServer | undefined

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(bench?.mesh.report())
    await bench?.close()
    await etcd?.stop()
    bench = undefined
    etcd = undefined
  })

  /** The store's own death, if it has one, is the third kind. */
  async function survive(store: object, killStore?: () => Promise<void>): Promise<void> {
    bench = await CenterWithAgent.open({ store: () => store, centers: 2 })
    const { agent, centers } = bench
    const [one, other] = centers as [(typeof centers)[0], (typeof centers)[0]]
    const deaths: readonly (() => Promise<unknown>)[] = [
      () => one.signal('generation', 'SIGKILL'),
      () => killWhole(other),
      ...(killStore === undefined ? [] : [killStore]),
    ]
    const calls = new SteadyCalls({ address: agent.options.address, port: sharedPort, service: 'orders' }, 4, 5)
    const writer = new RuleWriter(bench)
    const { acknowledgedAt } = writer
    const eachTakes = async (count: number): Promise<void> => {
      const before = [...acknowledgedAt]
      await until(90_000, `each center acknowledges ${count} writes`, async () =>
        acknowledgedAt.every((now, at) => now >= before[at]! + count),
      )
    }
    try {
      for (let kill = 0; kill < kills; kill++) {
        await eachTakes(5)
        // not at the same moment of a write each time
        await pause(Math.random() * 100)
        await deaths[kill % deaths.length]!()
      }
      await eachTakes(2)
    } finally {
      await writer.stop()
      await calls.stop()
    }
    await writer.verify()
    const { calls: made, failed, answers } = calls.counts
    expect(failed, `of ${made} calls: ${JSON.stringify([...answers])}`).to.equal(0)
    console.info(`      ${writer.acknowledged} writes acknowledged and kept, ${made} calls, none failed`)
  }

  it(`lose no acknowledged write in ${kills} deaths of one of them or of etcd, and no caller of an agent notices`, async function () {
    await needsEtcd(this)
    this.timeout(timeoutMs)
    const server = await startEtcd()
    etcd = server
    const killStore = async (): Promise<void> => {
      await server.kill()
      await server.start()
    }
    await survive({ type: 'etcd', servers: [`127.0.0.1:${server.port}`] }, killStore)
  })

  it(`lose no acknowledged write in ${kills} deaths of one of them on a Nacos, and no caller of an agent notices`, async function () {
    await needsNacos(this)
    this.timeout(timeoutMs)
    const { address } = await sharedNacos('2.3.1')
    await survive({ type: 'nacos', servers: [address], prefix: `hostmesh.killed-${process.pid}` })
  })
})
