/** Calls at an even rate until it is stopped, or slower where the machine cannot: 500 are under way at most. */

export interface FailedCall {
  readonly call: string
  readonly method: string
  readonly error: unknown
  /** Monotonic ms. */
  readonly startedAt: number
  readonly endedAt: number
}

export interface LoadCounts {
  calls: number
  readonly failures: FailedCall[]
  /** Answers by their text. */
  readonly answers: Map<string, number>
}

/** The text of a reply; rejects for one that is not 200. */
export async function goodText(response: Response): Promise<string> {
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${response.status} ${text}`)
  return text
}

const tickMs = 5
const maxActive = 500

export class CallLoad {
  readonly counts: LoadCounts = { calls: 0, failures: [], answers: new Map() }
  private readonly timer: NodeJS.Timeout
  private readonly startedAt = performance.now()
  /** Calls that were begun in a second, in the mean; known when it is stopped. */
  perSecond = 0
  private readonly running = new Set<Promise<void>>()

  /** make: sends call number `call` and answers its text; a rejection is a failure. */
  constructor(perSecond: number, make: (call: string) => { method: string; answer: Promise<string> }) {
    this.timer = setInterval(() => {
      // what a busy machine delays is made up for
      const due = Math.floor(((performance.now() - this.startedAt) / 1000) * perSecond)
      while (this.counts.calls < due && this.running.size < maxActive) this.one(make)
    }, tickMs)
  }

  async stop(): Promise<LoadCounts> {
    this.perSecond = (this.counts.calls / (performance.now() - this.startedAt)) * 1000
    clearInterval(this.timer)
    await Promise.all(this.running)
    return this.counts
  }

  private one(make: (call: string) => { method: string; answer: Promise<string> }): void {
    const { counts, running } = this
    const call = String(++counts.calls)
    const startedAt = performance.now()
    const { method, answer } = make(call)
    const done = answer.then(
      (text) => void counts.answers.set(text, (counts.answers.get(text) ?? 0) + 1),
      (error: unknown) => void counts.failures.push({ call, method, error, startedAt, endedAt: performance.now() }),
    )
    running.add(done)
    void done.finally(() => running.delete(done))
  }
}
