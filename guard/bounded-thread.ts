/**
 * Work on a text that others wrote, in a thread of its own: the loop goes on meanwhile, and a thread that does not end
 * in time, or that needs too much memory, ends alone.
 */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describeError } from '../contracts/errors.ts'

export interface ThreadBounds {
  /** File that the thread runs: see `threadEntry`. */
  readonly entry: string
  readonly deadlineMs: number
  /** Of its heap, MiB. */
  readonly memoryMb: number
  /** Ends the thread when nobody needs its work any more. */
  readonly signal?: AbortSignal
}

/** Path of the module `name` beside `base` (an `import.meta.url`), as it is spelled there: `.ts` or `.js`. */
export function threadEntry(base: string, name: string): string {
  return fileURLToPath(new URL(`${name}${base.endsWith('.ts') ? '.ts' : '.js'}`, base))
}

/**
 * Hands `data` to a thread as its `workerData` and each of its messages to `onWord`, until it says `null`: the end,
 * undefined. Never rejects: else it is why the thread ended before.
 */
export function runBoundedThread<Word extends object>(
  data: unknown,
  { entry, deadlineMs, memoryMb, signal }: ThreadBounds,
  onWord: (word: Word) => void,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let thread: Worker
    try {
      signal?.throwIfAborted()
      thread = new Worker(entry, {
        workerData: data,
        resourceLimits: { maxOldGenerationSizeMb: memoryMb, stackSizeMb: 4 },
      })
    } catch (error) {
      resolve(describeError(error))
      return
    }
    const end = (reason: string): void => {
      resolve(reason)
      void thread.terminate()
    }
    const timer = setTimeout(() => end(`not read after ${deadlineMs} ms`), deadlineMs)
    const onAbort = (): void => end('not needed any more')
    signal?.addEventListener('abort', onAbort)
    thread.on('message', (word: Word | null) => {
      if (word === null) resolve(undefined)
      else onWord(word)
    })
    thread.once('error', (error) => resolve(describeError(error)))
    thread.once('exit', (code) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      resolve(`its thread ended with ${code}`)
    })
  })
}
