import { Output } from './output.ts'

const capacity = 32_768
/** Views of lengths that are kept per memory. */
const keptViews = 1024
/** Memory that is kept, that of outputs which grew for one turn included. */
const maxKeptBytes = 8 * 1024 * 1024

/** Something that has frames to write. */
export interface Writer {
  /** Hands what it has to the kernel. */
  flushTurn(): void
}

/**
 * Memory in which the connections of a worker put their frames together, and the end of the turn at which they are
 * written: each connection once, however many streams and reads had something for it. Only a connection that has frames
 * to write holds memory of it.
 */
export class OutputPool {
  private readonly kept: Output[] = []
  private keptBytes = 0
  private writers: Writer[] = []
  private spare: Writer[] = []
  private readonly atEnd: (callback: () => void) => void
  private readonly flush = (): void => {
    const { writers } = this
    this.writers = this.spare
    for (const writer of writers) writer.flushTurn()
    writers.length = 0
    this.spare = writers
  }

  /** `atEnd`: calls back when the events of this turn are done, like `setImmediate`. */
  constructor(atEnd: (callback: () => void) => void) {
    this.atEnd = atEnd
  }

  take(): Output {
    const output = this.kept.pop()
    if (output === undefined) return new Output(capacity, keptViews)
    this.keptBytes -= output.bytes.length
    return output
  }

  give(output: Output): void {
    const bytes = this.keptBytes + output.bytes.length
    if (bytes > maxKeptBytes) return
    this.keptBytes = bytes
    this.kept.push(output)
  }

  /** Once per turn and writer. */
  flushSoon(writer: Writer): void {
    this.writers.push(writer)
    if (this.writers.length === 1) this.atEnd(this.flush)
  }
}
