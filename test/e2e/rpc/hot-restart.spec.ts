import { expect } from 'chai'

import { RpcCaller } from '../../support/rpc/far-sides.ts'
import { until } from '../../support/mesh/mesh.ts'
import {
  Asking,
  boltSpeech,
  otherSpeeches,
  slowMs,
  startRpcHost,
  throughRestarts,
} from '../../support/rpc/through-restarts.ts'
import type { RpcHost } from '../../support/rpc/through-restarts.ts'

const callers = 40
const inFlight = 25
const restarts = 3

describe('callers in Bolt with requests in flight', function () {
  this.timeout(120_000)
  let bolt: RpcHost

  beforeEach(async () => {
    bolt = await startRpcHost(boltSpeech)
  })

  afterEach(async () => {
    expect(await bolt.host.end(), 'processes left').to.deep.equal([])
    await bolt.provider.close()
  })

  it('lose no request through hot restarts, and keep their connections', async () => {
    const found = await throughRestarts(bolt, { connections: callers, inFlight, restarts })
    expect(found).to.deep.include({ failures: [], cut: 0, lost: 0, moved: Array(restarts).fill(callers) })
    expect(found.answered).to.be.above(callers * inFlight * 4)
  })

  it('lose no slow call either, which stops the fast ones beside it for a moment only', async () => {
    const asking = await Promise.all([1, 2, 3].map(() => Asking.start(bolt, inFlight)))
    const slow = asking.map((one) => one.callSlowly())
    const report = await bolt.host.reload()
    expect(report.outcome, report.cause).to.equal('done')
    for (const reply of await Promise.all(slow)) expect(reply === 'closed' ? reply : reply.frame.status).to.equal(200)
    await Promise.all(asking.map((one) => one.stop()))
    expect(asking.flatMap(({ cut, failures }) => [...failures, ...(cut > 0 ? ['cut'] : [])])).to.deep.equal([])
    expect(Math.max(...asking.map(({ slowest }) => slowest))).to.be.below(slowMs - 500)
    expect(report.counts.reduce((sum, { cut }) => sum + cut, 0)).to.equal(0)
  })

  it('lose only what was in flight on a worker that is killed, and the next connection is taken at once', async () => {
    const asking = await Promise.all(Array.from({ length: callers }, () => Asking.start(bolt, inFlight)))
    await until(30_000, 'each has had replies', () =>
      Promise.resolve(asking.every(({ answered }) => answered > inFlight)),
    )
    await killOne(bolt, asking)
  })
})

describe('callers of a port that finds out what they speak', function () {
  this.timeout(120_000)

  it('keep connections on which they have said nothing yet through a hot restart', async () => {
    const through = await startRpcHost(boltSpeech, 'auto')
    const { codec } = boltSpeech
    try {
      const silent = await Promise.all([1, 2, 3, 4, 5, 6].map(() => RpcCaller.connect(codec, through.host.tcpPort)))
      const report = await through.host.reload()
      expect(report.outcome, report.cause).to.equal('done')
      expect(report.counts.reduce((sum, { moved }) => sum + moved, 0)).to.equal(silent.length)
      const request = boltSpeech.request(Buffer.from(`[${''.padEnd(14)}]`), 30_000)
      for (const caller of silent) {
        expect((await caller.call(request)).frame.status).to.equal(200)
        caller.close()
      }
    } finally {
      expect(await through.host.end(), 'processes left').to.deep.equal([])
      await through.provider.close()
    }
  })
})

/** Kills the first worker under them, and they stop: only what was in flight there is lost. */
async function killOne(through: RpcHost, asking: readonly Asking[]): Promise<void> {
  process.kill((await through.host.child('worker')).pid, 'SIGKILL')
  await until(30_000, 'its connections are closed', () => Promise.resolve(asking.some(({ isClosed }) => isClosed)))
  const newcomers = await Promise.all([1, 2, 3, 4].map(() => Asking.start(through, inFlight)))
  await until(30_000, 'those have replies', () =>
    Promise.resolve(newcomers.every(({ answered }) => answered > inFlight)),
  )
  await Promise.all([...asking, ...newcomers].map((one) => one.stop()))
  const dead = asking.filter(({ isClosed, cut }) => isClosed && cut > 0)
  const living = asking.filter((one) => !dead.includes(one))
  expect(dead.length, 'connections of the other worker').to.be.below(asking.length)
  expect(living.map(({ cut }) => cut)).to.deep.equal(living.map(() => 0))
  expect(Math.max(...dead.map(({ cut }) => cut))).to.be.at.most(inFlight)
  expect([...asking, ...newcomers].flatMap(({ failures }) => failures)).to.deep.equal([])
}

for (const speech of otherSpeeches)
  describe(`callers in ${speech.codec.name} with requests in flight`, function () {
    this.timeout(120_000)

    it('lose nothing through a hot restart, and what was in flight on a worker that is killed', async () => {
      const through = await startRpcHost(speech)
      try {
        const found = await throughRestarts(through, { connections: callers, inFlight, restarts: 1 })
        expect(found).to.deep.include({ failures: [], cut: 0, lost: 0, moved: [callers] })
        expect(found.answered).to.be.above(callers * inFlight)
        const asking = await Promise.all(Array.from({ length: callers }, () => Asking.start(through, inFlight)))
        await until(30_000, 'each has had replies', () =>
          Promise.resolve(asking.every(({ answered }) => answered > inFlight)),
        )
        await killOne(through, asking)
      } finally {
        expect(await through.host.end(), 'processes left').to.deep.equal([])
        await through.provider.close()
      }
    })
  })
