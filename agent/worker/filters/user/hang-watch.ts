import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { HangMarks } from './hang-marks.ts'
import { beatMs, RunningCell } from './running-cell.ts'

export interface HangWatchData {
  readonly directory: string
  readonly memory: SharedArrayBuffer
}

export interface WatchedFilter {
  readonly name: string
  /** Absolute path of its module. */
  readonly path: string
  readonly fingerprint: string
  readonly number: number
}

/** MiB of its heap: it looks at three numbers, and once, when the loop stands, at the names of all scripts. */
const memoryMb = 32

/**
 * Promises that a filter which does not return costs one worker once: a thread ends the process (2 s), and marks keep
 * the filter off in the next one and, within a second, in its neighbours. The thread begins with the first filter.
 */
export class HangWatch {
  readonly cell: RunningCell = new RunningCell()
  private readonly directory: string
  private readonly marks: HangMarks
  private readonly onMarked: (name: string) => void
  private thread: Worker | undefined
  private beats: NodeJS.Timeout | undefined
  private last = 0

  /** `onMarked`: some worker was held up by it. May be said again and again. */
  constructor(directory: string, onMarked: (name: string) => void) {
    this.directory = directory
    this.marks = new HangMarks(directory)
    this.onMarked = onMarked
  }

  /** The number under which its calls enter the cell; undefined = it held a worker up as it is now. */
  watch(name: string, path: string, fingerprint: string): number | undefined {
    if (this.marks.has(name, fingerprint)) return undefined
    const number = ++this.last
    const filter: WatchedFilter = { name, path, fingerprint, number }
    this.begin().postMessage(filter)
    return number
  }

  private begin(): Worker {
    if (this.thread !== undefined) return this.thread
    const suffix = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
    const workerData: HangWatchData = { directory: this.directory, memory: this.cell.memory }
    const thread = new (process.getBuiltinModule('node:worker_threads').Worker)(
      fileURLToPath(new URL(`./hang-thread${suffix}`, import.meta.url)),
      {
        workerData,
        resourceLimits: { maxOldGenerationSizeMb: memoryMb, stackSizeMb: 1 },
      },
    )
    thread.on('message', this.onMarked)
    thread.unref()
    this.beats = setInterval(() => this.cell.beat(), beatMs).unref()
    this.thread = thread
    return thread
  }

  close(): void {
    clearInterval(this.beats)
    void this.thread?.terminate()
    this.thread = undefined
  }
}
