/** Callers that ask at a fixed rate whatever the answers do, or one after the other; each answer is kept. */
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface PacedAnswer {
  /** Of the question, ms of this process. */
  readonly at: number
  readonly ms: number
  /** 0: none. */
  readonly status: number
}

export class PacedCallers {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 4096 })
  private readonly port: number

  constructor(port: number) {
    this.port = port
  }

  /** Resolves when all are answered. */
  async atRate(rate: number, seconds: number): Promise<PacedAnswer[]> {
    const asked: Promise<PacedAnswer>[] = []
    const begin = performance.now()
    for (const total = rate * seconds; asked.length < total; await sleep(1)) {
      const due = Math.min(total, Math.floor(((performance.now() - begin) * rate) / 1000))
      while (asked.length < due) asked.push(this.ask())
    }
    return Promise.all(asked)
  }

  /** `callers` at once, each its next one behind the last. */
  async inTurn(callers: number, seconds: number): Promise<PacedAnswer[]> {
    const answers: PacedAnswer[] = []
    const end = performance.now() + seconds * 1000
    const one = async (): Promise<void> => {
      while (performance.now() < end) answers.push(await this.ask())
    }
    await Promise.all(Array.from({ length: callers }, one))
    return answers
  }

  close(): void {
    this.agent.destroy()
  }

  private ask(): Promise<PacedAnswer> {
    const at = performance.now()
    return new Promise((resolve) => {
      const answered = (status: number): void => resolve({ at, ms: performance.now() - at, status })
      const outgoing = request({ agent: this.agent, host: '127.0.0.1', port: this.port }, (incoming) => {
        incoming.resume()
        incoming.once('close', () => answered(incoming.complete ? (incoming.statusCode ?? 0) : 0))
      })
      outgoing.once('error', () => answered(0))
      outgoing.end()
    })
  }
}
