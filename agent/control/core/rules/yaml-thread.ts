/**
 * Reads one long YAML text in a thread of its own: `workerData` is the text; each resource is a message, then `null`.
 * `yaml-in-thread.ts` is the other side.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { checkedSpec } from './rule-resource.ts'
import { eachYamlResource } from './yaml-documents.ts'
import type { ThreadWord } from './yaml-in-thread.ts'

const say = (word: ThreadWord): void => parentPort?.postMessage(word)

for (const read of eachYamlResource(String(workerData))) {
  if ('problem' in read) say(read)
  else {
    const { value, problems, line, text } = read
    say({ value, problems, line, text, checked: checkedSpec(read), places: JSON.stringify(read.places()) })
  }
}
say(null)
