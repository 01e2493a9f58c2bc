/**
 * Takes over the processes of a watchdog that died. They dial our socket by themselves and give back copies of their
 * listening sockets; who does not come is replaced. A generation that had not begun to take over when its watchdog died
 * is ended, because nobody remembers what it still had to prove; a canary, or one that was being taken back, gives what
 * it has to the serving one first.
 */
import { Generation } from './generation.ts'
import type { GenerationDeps } from './generation.ts'
import type { Log } from '../log.ts'
import { isRunning } from '../../native/process-facts.ts'
import type { GenerationRecord, RunRecord } from './run-record.ts'
import type { ProcessTree } from './tree.ts'
import { keepWayBack } from './way-back.ts'

export interface AdoptionDeps {
  readonly tree: ProcessTree
  readonly generation: GenerationDeps
  readonly log: Log
}

/** Fills the tree with what still runs. False when there is nothing to adopt. */
export function adoptFrom(record: RunRecord, deps: AdoptionDeps): boolean {
  const { tree, log } = deps
  tree.lastNumber = Math.max(tree.lastNumber, record.lastNumber)
  tree.previousRelease = record.previousRelease
  tree.probation = record.probation
  // Newest first: of two that accept, the newer one had taken over.
  const records = [...record.generations].sort((one, other) => other.number - one.number)
  for (const found of records) {
    const isUnproven = found.phase === 'starting' || found.phase === 'proving'
    const isTakenBack = found.phase === 'canary' || found.phase === 'failed'
    const running = found.children.filter((child) => isRunning(child.pid, child.startedAtTicks))
    if (isUnproven || found.phase === 'gone' || (isTakenBack && !records.some(isSomebodyServing))) {
      for (const child of running) process.kill(child.pid, 'SIGKILL')
      if (running.length > 0)
        log('warn', `generation ${found.number} was ${found.phase} when its watchdog died; it is ended`)
      continue
    }
    // the newer one had taken over, and its watchdog died before it wrote down from whom
    if (found.phase === 'serving' && tree.current !== undefined) {
      const { now, restarts } = deps.generation
      const { probationMs } = restarts
      keepWayBack(tree, { generation: tree.current, from: found, isTakenBack: false, now: now(), probationMs })
    }
    if (!running.some((child) => child.role === 'worker')) {
      for (const child of running) process.kill(child.pid, 'SIGKILL')
      continue
    }
    const isDraining = found.phase === 'draining' || isTakenBack || tree.current !== undefined
    const phase = isDraining ? 'draining' : 'serving'
    const generation = new Generation(found.number, found.release, found.startedAt, phase, deps.generation)
    for (const child of running) generation.adoptChild(child)
    if (isDraining) tree.draining.push(generation)
    else tree.current = generation
    log('info', `generation ${found.number} is adopted (${phase})`, { pids: running.map((child) => child.pid) })
  }
  return tree.current !== undefined
}

/** Somebody to whom a canary can give what it has. */
function isSomebodyServing({ children, phase }: GenerationRecord): boolean {
  return (
    phase === 'serving' &&
    children.some(({ pid, role, startedAtTicks }) => role === 'worker' && isRunning(pid, startedAtTicks))
  )
}
