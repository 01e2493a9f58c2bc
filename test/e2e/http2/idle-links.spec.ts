/** Connections to endpoints over which no request runs, through hot restarts. */
import http2 from 'node:http2'
import type { Http2Server } from 'node:http2'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'

import { WatchdogHost } from '../../support/continuity/watchdog-host.ts'
import { snapshotOf } from '../../support/worker/snapshots.ts'

describe('idle connections to endpoints of HTTP/2, with real workers', function () {
  this.timeout(60_000)
  let application: Http2Server
  let host: WatchdogHost
  let sessions = 0
  const ends: string[] = []

  before(async () => {
    application = http2.createServer((request, response) => response.end(`answer ${request.url}`))
    application.on('session', (session) => {
      const name = `session ${++sessions}`
      session.on('goaway', (code: number) => ends.push(`${name} was told to go away: ${code}`))
      session.on('close', () => ends.push(`${name} closed`))
      session.on('error', (error: Error) => ends.push(`${name}: ${error.message}`))
    })
    application.listen(0, '127.0.0.1')
    await once(application, 'listening')
    const { port } = application.address() as AddressInfo
    host = await WatchdogHost.start({
      tuning: { deadlines: { startMs: 14_000, drainMs: 18_000, stopMs: 2000, adoptMs: 3000 } },
      snapshot: (at) =>
        snapshotOf({
          services: [{ name: 'orders', protocol: 'http2', endpoints: [{ address: '127.0.0.1', port }] }],
          listen: { orders: { address: '127.0.0.1', port: at.httpPort } },
        }),
    })
  })

  after(async () => {
    application.close()
    expect(await host.end(), 'processes left').to.deep.equal([])
  })

  it('move with their tables, windows and ids, and carry the next requests', async () => {
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 2; n++) {
        const headers = { 'x-round': String(round), 'x-same': 'the same each time' }
        const reply = await fetch(`http://127.0.0.1:${host.httpPort}/${round}`, { headers })
        expect([reply.status, await reply.text()]).to.deep.equal([200, `answer /${round}`])
      }
      expect([sessions, ends], `round ${round}`).to.deep.equal([1, []])
      if (round === 2) break
      const report = await host.reload()
      expect(report.outcome, report.cause).to.equal('done')
      const pooled = report.counts.filter(({ protocol }) => protocol === 'pooled')
      expect(pooled.map(({ cut, drained, moved }) => [moved, drained, cut])).to.deep.equal([[1, 0, 0]])
    }
  })
})
