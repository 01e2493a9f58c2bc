import http2 from 'node:http2'
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2'
import { once } from 'node:events'
import { expect } from 'chai'

import type { FarSide } from '../../support/continuity/far-side.ts'
import { endRestartedWorkers, startRestartedWorkers } from '../../support/continuity/restarted-workers.ts'
import type { WatchdogHost } from '../../support/continuity/watchdog-host.ts'

const callers = 16

/** Asks one request after another on one connection until it is told to stop. */
class Asking {
  readonly failures: string[] = []
  answered = 0
  goneAway = 0
  private readonly client: ClientHttp2Session
  private isOver = false
  private readonly done: Promise<void>

  constructor(port: number) {
    this.client = http2.connect(`http://127.0.0.1:${port}`)
    this.client.on('error', (error) => this.failures.push(error.message))
    this.client.on('goaway', () => this.goneAway++)
    this.client.on('close', () => this.isOver || this.failures.push('closed'))
    this.done = this.run()
  }

  private async run(): Promise<void> {
    while (!this.isOver && this.failures.length === 0) {
      const stream = this.client.request({ ':path': `/?${this.answered}`, 'x-table': 'the same each time' })
      stream.on('error', (error) => this.failures.push(error.message))
      stream.resume()
      const [headers] = (await once(stream, 'response').catch(() => [{}])) as [IncomingHttpHeaders]
      if (Number(headers[':status']) !== 200) this.failures.push(`status ${String(headers[':status'])}`)
      if (!stream.closed) await once(stream, 'close')
      this.answered++
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }

  async stop(): Promise<void> {
    this.isOver = true
    await this.done
    this.client.destroy()
  }
}

describe('callers of HTTP/2, with real workers, through hot restarts', function () {
  this.timeout(120_000)
  let host: WatchdogHost
  let provider: FarSide

  beforeEach(async () => {
    ;({ host, provider } = await startRestartedWorkers())
  })

  afterEach(() => endRestartedWorkers({ host, provider }))

  it('lose no request and keep their connections, when they ask one after another', async () => {
    const asking = Array.from({ length: callers }, () => new Asking(host.httpPort))
    for (let round = 0; round < 3; round++) {
      const report = await host.reload()
      expect(report.outcome, report.cause).to.equal('done')
      const counts = report.counts.filter(({ protocol }) => protocol === 'http2')
      expect(counts.reduce((sum, count) => sum + count.cut, 0)).to.equal(0)
      expect(counts.reduce((sum, count) => sum + count.moved, 0)).to.equal(callers)
    }
    await Promise.all(asking.map((one) => one.stop()))
    expect(asking.flatMap(({ failures }) => failures)).to.deep.equal([])
    expect(asking.reduce((sum, { goneAway }) => sum + goneAway, 0)).to.equal(0)
    expect(asking.reduce((sum, { answered }) => sum + answered, 0)).to.be.above(300)
  })
})
