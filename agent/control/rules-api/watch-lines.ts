/** Lines of one watch in the order in which they were said, as fast as their reader takes them. */

export interface LineSink {
  /** false: no more than this until it drains. */
  write(text: string): boolean
  onDrain(call: () => void): void
}

/** What is said behind lines that are not read may be so long, bytes. */
const maxWaitingBytes = 1024 * 1024

export class WatchLines {
  private readonly sink: LineSink
  private readonly onTooMany: () => void
  private first: Iterator<string> | undefined
  private waiting: string[] = []
  private waitingBytes = 0
  private isFull = false
  private isStopped = false

  /** `onTooMany`: more than 1 MiB waits; called once, and nothing is written any more. */
  constructor(sink: LineSink, onTooMany: () => void) {
    this.sink = sink
    this.onTooMany = onTooMany
    sink.onDrain(() => {
      this.isFull = false
      this.write()
    })
  }

  /** Of any length: each is made when there is room for it. What is said from now on comes behind. */
  begin(lines: Iterator<string>): void {
    this.first = lines
    this.write()
  }

  say(line: string): void {
    if (this.isStopped) return
    this.waiting.push(line)
    this.waitingBytes += Buffer.byteLength(line)
    this.write()
    if (this.waitingBytes <= maxWaitingBytes) return
    this.stop()
    this.onTooMany()
  }

  /** What waits is forgotten. */
  stop(): void {
    this.isStopped = true
    this.first = undefined
    this.waiting = []
    this.waitingBytes = 0
  }

  private write(): void {
    while (!this.isFull) {
      const line = this.next()
      if (line === undefined) return
      this.isFull = !this.sink.write(line)
    }
  }

  private next(): string | undefined {
    const first = this.first?.next()
    if (first !== undefined && first.done !== true) return first.value
    this.first = undefined
    const line = this.waiting.shift()
    if (line !== undefined) this.waitingBytes -= Buffer.byteLength(line)
    return line
  }
}
