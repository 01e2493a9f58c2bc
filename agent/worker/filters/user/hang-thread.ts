/**
 * Watches from beside: ends the process whose loop a filter holds up, and leaves word which. `hang-watch.ts` is the
 * other side. JavaScript that does not return cannot be interrupted from inside its thread.
 */
import { writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { HangMarks } from './hang-marks.ts'
import { HangRule, lookMs } from './hang-rule.ts'
import type { HangWatchData, WatchedFilter } from './hang-watch.ts'
import { filesOnMainStack } from './main-stack.ts'
import { realPath } from './real-path.ts'
import { StallRule } from './stall-rule.ts'

const { directory, memory } = workerData as HangWatchData
const cells = new Int32Array(memory)
const watched: WatchedFilter[] = []
const marks = new HangMarks(directory)
const rule = new HangRule()
const stalls = new StallRule()
/** Marks of neighbours are looked for once a second. */
const looksPerMark = 10
let looks = 0
let suspect: WatchedFilter | undefined

parentPort!.on('message', (filter: WatchedFilter) => watched.push({ ...filter, path: realPath(filter.path) }))

function mark(filter: WatchedFilter, isSure: boolean): void {
  try {
    marks.write({ filter: filter.name, fingerprint: filter.fingerprint, pid: process.pid, isSure })
  } catch {
    // a full disk does not keep it from being ended
  }
}

function endProcess(filter: WatchedFilter, how: string): void {
  const msg = `E_FILTER_FAILED  filter ${filter.name} holds this worker up (${how}): it ends, and the next one does without the filter until its file or its settings change`
  writeSync(2, `${JSON.stringify({ level: 'error', time: new Date().toISOString(), pid: process.pid, msg })}\n`)
  process.kill(process.pid, 'SIGKILL')
}

/** The loop stands, and no call of a filter is open: what runs behind an `await` is seen on the stack alone. */
function askWhoRuns(): void {
  filesOnMainStack((files) => {
    const filter = watched.find(({ path }) => files.includes(path))
    if (filter === undefined) return
    mark(filter, true)
    endProcess(filter, `${stalls.heldMs} ms behind an await`)
  })
}

setInterval(() => {
  const running = Atomics.load(cells, 0)
  const sign = rule.look(running, Atomics.load(cells, 1))
  const filter = watched.find(({ number }) => number === running)
  if (sign === 'suspect' && filter !== undefined) {
    suspect = filter
    mark(filter, false)
  } else if (sign === 'cleared' && suspect !== undefined) {
    marks.remove({ filter: suspect.name, pid: process.pid })
    suspect = undefined
  } else if (sign === 'hung' && filter !== undefined) {
    mark(filter, true)
    endProcess(filter, `${rule.heldMs} ms in one call`)
  } else if (stalls.look(running, Atomics.load(cells, 2))) {
    askWhoRuns()
  }
  if (++looks % looksPerMark !== 0) return
  for (const { fingerprint, name, number } of watched)
    if (number !== running && marks.has(name, fingerprint)) parentPort!.postMessage(name)
}, lookMs)
