/**
 * Long YAML texts, read beside the loop: a parser needs half a second for what the bounds allow, the shape of its kind
 * a tenth of one, and nobody waits for them. A thread that does not end in time, or that needs too much memory, is
 * ended, and its text is refused; control lives on.
 */
import { runBoundedThread, threadEntry } from '../../../../guard/bounded-thread.ts'
import type { RuleProblem } from '../../../../contracts/rule-status.ts'
import type { YamlResource } from './yaml-documents.ts'
import { positionIn, type Place } from './yaml-places.ts'

/** A resource as it leaves the thread; `places`: JSON of its `Place`. null: the end. */
export type ThreadWord =
  | (Pick<YamlResource, 'value' | 'problems' | 'line' | 'text' | 'checked'> & { readonly places: string })
  | { readonly problem: RuleProblem }
  | null

export type YamlRead = YamlResource | { readonly problem: RuleProblem }

const deadlineMs = 10_000
/** The most that the bounds allow needs 60 MiB. */
const memoryMb = 256
const entry = threadEntry(import.meta.url, './yaml-thread')

/**
 * What `eachYamlResource` gives for the text, with what shapes say of it. Never rejects: what ends the thread is a
 * problem of the whole text.
 */
export async function readInThread(text: string, bounds = { deadlineMs, memoryMb, entry }): Promise<YamlRead[]> {
  const reads: YamlRead[] = []
  const reason = await runBoundedThread<NonNullable<ThreadWord>>(text, bounds, (word) =>
    reads.push('problem' in word ? word : resourceOf(word)),
  )
  if (reason === undefined) return reads
  return [{ problem: { path: '', line: 1, column: 1, message: `cannot be read: ${reason}` } }]
}

function resourceOf({
  value,
  problems,
  line,
  text,
  checked,
  places,
}: Exclude<ThreadWord, null | { problem: RuleProblem }>): YamlResource {
  let root: Place | undefined
  const all = (): Place => (root ??= JSON.parse(places) as Place)
  return { value, problems, line, text, checked, places: all, positionOf: (path) => positionIn(all(), path) }
}
