import { expect } from 'chai'

import type { DrainCount } from '../../../contracts/handoff.ts'
import { WatchdogHost } from '../continuity/watchdog-host.ts'
import { eventually } from '../worker/eventually.ts'
import { snapshotOf } from '../worker/snapshots.ts'
import { EchoApplication, LongCalls, ShortCalls } from './long-streams.ts'

/** How a host is started whose HTTP port serves gRPC of an application at `port`. */
export function startGrpcHost(port: number, workers = 2): Promise<WatchdogHost> {
  return WatchdogHost.start({
    workers,
    snapshot: (host) =>
      snapshotOf({
        services: [{ name: 'orders', protocol: 'grpc', endpoints: [{ address: '127.0.0.1', port }] }],
        listen: { orders: { address: '127.0.0.1', port: host.httpPort } },
      }),
  })
}

/** No call may fail and no connection close. */
export async function shortCallsThroughRestarts(channels: number, restarts: number): Promise<void> {
  const application = new EchoApplication()
  const host = await startGrpcHost(await application.start())
  const calls = new ShortCalls(host.httpPort, channels)
  try {
    for (let round = 0; round < restarts; round++) {
      const before = calls.answered
      await eventually(() => calls.answered > before + channels || calls.faults.length > 0)
      const report = await host.reload()
      expect(report.outcome, report.cause).to.equal('done')
    }
    expect(await calls.end()).to.deep.equal([])
    expect(application.faults).to.deep.equal([])
  } finally {
    calls.close()
    application.close()
    expect(await host.end(), 'processes left').to.deep.equal([])
  }
}

export interface Plan {
  readonly connections: number
  readonly callsEach: number
  readonly perSecond: number
  readonly restarts: number
  readonly workers?: number
}

/** Every call must hear each of its messages once and in order, and end with status 0. */
export async function throughRestarts({ callsEach, connections, perSecond, restarts, workers }: Plan): Promise<void> {
  const application = new EchoApplication()
  const host = await startGrpcHost(await application.start(), workers)
  const calls = new LongCalls(host.httpPort, connections, callsEach)
  try {
    calls.begin(perSecond)
    await eventually(() => calls.least > 0 || calls.faults.length > 0)
    expect(calls.faults).to.deep.equal([])
    for (let round = 0; round < restarts; round++) {
      const report = await host.reload()
      expect(report.outcome, report.cause).to.equal('done')
      const counts = report.counts.filter(({ protocol }) => protocol === 'http2')
      const sum = (name: 'cut' | 'drained' | 'moved'): number =>
        counts.reduce((all: number, count: DrainCount) => all + count[name], 0)
      expect([sum('moved'), sum('drained'), sum('cut')]).to.deep.equal([connections, 0, 0])
      const { least } = calls
      await eventually(() => calls.least > least)
    }
    expect(await calls.end()).to.deep.equal([])
    expect(application.faults).to.deep.equal([])
    expect(calls.goneAway).to.equal(0)
  } finally {
    calls.close()
    application.close()
    expect(await host.end(), 'processes left').to.deep.equal([])
  }
}
