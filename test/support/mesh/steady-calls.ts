/** Calls at an even pace through a shared HTTP port, kept alive, until it is stopped; counts what came back. */
import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export interface CallCounts {
  calls: number
  failed: number
  /** When the last failed call ended, monotonic ms; 0 = none. */
  lastFailedAt: number
  /** How often each answer came: the body of a good one, else status and error code. */
  readonly answers: Map<string, number>
}

export class SteadyCalls {
  counts: CallCounts = emptyCounts()
  private readonly agent: Agent
  private readonly running: Promise<unknown>
  private isOver = false

  /** `pauseMs` between two calls of one caller. */
  constructor(target: { address: string; port: number; service: string }, callers: number, pauseMs: number) {
    this.agent = new Agent({ keepAlive: true, maxSockets: callers })
    this.running = Promise.all(
      Array.from({ length: callers }, async () => {
        while (!this.isOver) {
          const answer = await this.call(target)
          const counts = this.counts
          counts.calls++
          if (!answer.isGood) {
            counts.failed++
            counts.lastFailedAt = performance.now()
          }
          counts.answers.set(answer.word, (counts.answers.get(answer.word) ?? 0) + 1)
          await delay(pauseMs)
        }
      }),
    )
  }

  /** Counts from zero; answers what was counted so far. */
  restart(): CallCounts {
    const { counts } = this
    this.counts = emptyCounts()
    return counts
  }

  async stop(): Promise<CallCounts> {
    this.isOver = true
    await this.running
    this.agent.destroy()
    return this.counts
  }

  private call(target: { address: string; port: number; service: string }): Promise<{ isGood: boolean; word: string }> {
    const { agent } = this
    const { address: host, port, service } = target
    return new Promise((resolve) => {
      const outgoing = request({ agent, host, port, path: '/', headers: { host: service }, timeout: 10_000 })
      outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in 10 s')))
      outgoing.once('error', (error) => resolve({ isGood: false, word: error.message }))
      outgoing.once('response', (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.once('error', (error) => resolve({ isGood: false, word: error.message }))
        response.once('end', () => {
          const isGood = response.statusCode === 200
          resolve({
            isGood,
            word: isGood ? body : `${response.statusCode} ${String(response.headers['x-mesh-error'])}`,
          })
        })
      })
      outgoing.end()
    })
  }
}

function emptyCounts(): CallCounts {
  return { calls: 0, failed: 0, lastFailedAt: 0, answers: new Map() }
}
