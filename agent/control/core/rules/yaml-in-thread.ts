/**
 * Long YAML texts, read beside the loop: a parser needs half a second for what the bounds allow, and nobody waits for
 * it. A thread that does not end in time, or that needs too much memory, is ended, and its text is refused; control
 * lives on.
 */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describeError } from '../../../../contracts/errors.ts'
import type { RuleProblem } from './types.ts'
import type { YamlResource } from './yaml-documents.ts'
import { positionIn, type Place } from './yaml-places.ts'

/** A resource as it leaves the thread; `places`: JSON of its `Place`. null: the end. */
export type ThreadWord =
  | (Pick<YamlResource, 'value' | 'problems' | 'line' | 'text'> & { readonly places: string })
  | { readonly problem: RuleProblem }
  | null

export type YamlRead = YamlResource | { readonly problem: RuleProblem }

const deadlineMs = 10_000
/** The most that the bounds allow needs 60 MiB. */
const memoryMb = 256
const entry = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './yaml-thread.ts' : './yaml-thread.js', import.meta.url),
)

/** What `eachYamlResource` gives for the text. Never rejects: what ends the thread is a problem of the whole text. */
export function readInThread(text: string, options = { deadlineMs, memoryMb, entry }): Promise<YamlRead[]> {
  return new Promise((resolve) => {
    const reads: YamlRead[] = []
    const refuse = (reason: string): void =>
      resolve([{ problem: { path: '', line: 1, column: 1, message: `cannot be read: ${reason}` } }])
    let thread: Worker
    try {
      thread = new Worker(options.entry, {
        workerData: text,
        resourceLimits: { maxOldGenerationSizeMb: options.memoryMb, stackSizeMb: 4 },
      })
    } catch (error) {
      refuse(describeError(error))
      return
    }
    const timer = setTimeout(() => {
      refuse(`not read after ${options.deadlineMs} ms`)
      void thread.terminate()
    }, options.deadlineMs)
    thread.on('message', (word: ThreadWord) => {
      if (word === null) resolve(reads)
      else reads.push('problem' in word ? word : resourceOf(word))
    })
    thread.once('error', (error) => refuse(describeError(error)))
    thread.once('exit', (code) => {
      clearTimeout(timer)
      refuse(`its thread ended with ${code}`)
    })
  })
}

function resourceOf({
  value,
  problems,
  line,
  text,
  places,
}: Exclude<ThreadWord, null | { problem: RuleProblem }>): YamlResource {
  let root: Place | undefined
  const all = (): Place => (root ??= JSON.parse(places) as Place)
  return { value, problems, line, text, places: all, positionOf: (path) => positionIn(all(), path) }
}
