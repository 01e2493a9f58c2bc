/**
 * Replaces the serving generation by a new one, or fails without touching it. The order is the promise: start → ready →
 * proven by real requests through its own listeners → one worker as a canary, where an operator asked for it → serve →
 * only then does the old one drain. Every failure before that point ends the new one alone; after it, `Recovery` takes
 * back.
 */
import type { CanaryOrder } from '../../contracts/canary.ts'
import { MeshError, describeError } from '../../contracts/errors.ts'
import type { Release, RestartReport } from '../../contracts/handoff.ts'
import type { Log } from '../log.ts'
import type { Deadlines } from '../options.ts'
import type { Relay } from '../relay/relay.ts'
import { Generation } from '../supervise/generation.ts'
import type { Failure, GenerationDeps } from '../supervise/generation.ts'
import { probe } from '../supervise/probe.ts'
import type { ProcessTree } from '../supervise/tree.ts'
import { keepWayBack } from '../supervise/way-back.ts'
import { Canary } from './canary.ts'
import type { Reports } from './reports.ts'
import type { Retirement } from './retirement.ts'

const killPatienceMs = 3000
/** On top of a deadline that the process itself should keep, ms. */
const patienceMs = 2000

export type Waiting = 'serving' | 'gone'

export interface ReplacementDeps {
  readonly tree: ProcessTree
  readonly generation: GenerationDeps
  readonly deadlines: Deadlines
  readonly retirement: Retirement
  readonly reports: Reports
  readonly relay: Relay
  readonly log: Log
  /** Monotonic and epoch ms. */
  readonly now: () => number
  readonly wallClock: () => number
  readonly onServing: (generation: Generation) => void
  /** A new generation has failed and ended, and what its workers accepted was given to the old one. */
  readonly onGivenBack: () => void
}

type Times = { -readonly [K in 'readyMs' | 'provenMs' | 'servingMs' | 'goneMs']: RestartReport[K] }

export class Replacement {
  private readonly deps: ReplacementDeps

  constructor(deps: ReplacementDeps) {
    this.deps = deps
  }

  /**
   * Resolves with the outcome; a failure is an outcome too. Throws E_HANDOFF_REFUSED when another replacement is under
   * way or the watchdog stops.
   */
  async replace(
    kind: RestartReport['kind'],
    release: Release,
    wait: Waiting,
    { canary: order, why }: { readonly why?: Failure; readonly canary?: CanaryOrder } = {},
  ): Promise<RestartReport> {
    const { deps } = this
    const { tree } = deps
    if (tree.isStopping)
      throw new MeshError('E_HANDOFF_REFUSED', 'the watchdog is stopping; nothing is started any more')
    if (tree.next !== undefined) {
      throw new MeshError(
        'E_HANDOFF_REFUSED',
        `generation ${tree.next.number} is being started (${tree.next.phase}); one at a time, try again when it serves or has failed; \`hostmesh rollback\` takes a canary back`,
      )
    }
    const from = tree.current
    const began = deps.now()
    const times: Times = { readyMs: undefined, provenMs: undefined, servingMs: undefined, goneMs: undefined }
    const startedAt = deps.wallClock()
    const generation = new Generation(++tree.lastNumber, release, startedAt, 'starting', deps.generation)
    let tried: Canary | undefined
    const report = (
      outcome: RestartReport['outcome'],
      failure?: Failure,
      counts: RestartReport['counts'] = [],
    ): RestartReport => ({
      id: `${new Date(startedAt).toISOString().replaceAll(':', '-')}-${generation.number}`,
      kind,
      from: from?.number,
      to: generation.number,
      release: release.name,
      outcome,
      cause: failure?.cause ?? why?.cause,
      evidence: failure?.evidence ?? why?.evidence ?? [],
      startedAt,
      ...times,
      counts,
      ...(tried !== undefined && { canary: tried.report() }),
    })
    const elapsed = (): number => Math.round(deps.now() - began)

    tree.next = generation
    // the one that serves writes down what it knows: the next begins with it
    deps.generation.onChange()
    const bringUp = async (): Promise<Failure | undefined> => {
      generation.startAll()
      let failure = await this.prove(generation, times, elapsed)
      if (failure === undefined && order !== undefined) {
        tried = await this.try(generation, order)
        failure = generation.failure
      }
      return failure ?? (await this.letIn(generation))
    }
    // what is thrown is a failure, too: a generation that nobody ends would keep every later one from being started
    const failure = await bringUp().catch((error: unknown): Failure => ({ cause: describeError(error), evidence: [] }))
    if (failure !== undefined) {
      await this.takeBack(generation, from, failure)
      const failed = report('failed', failure)
      deps.reports.save(failed)
      return failed
    }
    times.servingMs = elapsed()
    generation.enter('serving')
    tree.next = undefined
    tree.current = generation
    from?.control?.send({ type: 'retire' })
    generation.control?.send({ type: 'lead' })
    const { probationMs } = deps.generation.restarts
    keepWayBack(tree, { generation, from, isTakenBack: kind === 'recovery', now: deps.now(), probationMs })
    deps.onServing(generation)
    if (from === undefined) {
      deps.generation.onRecord()
      // of an earlier watchdog, whose successor died with it
      deps.retirement.redirect(generation)
      const done = report('done')
      deps.reports.save(done)
      return done
    }
    deps.reports.save(report('done'))
    const retire = async (): Promise<RestartReport> => {
      const counts = await deps.retirement.retire(from, generation)
      times.goneMs = elapsed()
      const done = report('done', undefined, counts)
      deps.reports.save(done)
      return done
    }
    const gone = retire()
    if (wait === 'gone') return gone
    gone.catch((error: unknown) => deps.log('error', `retirement of generation ${from.number}: ${String(error)}`))
    return report('done')
  }

  private async prove(generation: Generation, times: Times, elapsed: () => number): Promise<Failure | undefined> {
    const { deadlines } = this.deps
    const isReady = (): boolean => generation.living.length > 0 && generation.living.every((child) => child.isReady)
    if (!(await generation.waitFor(isReady, deadlines.startMs))) {
      const late = generation.living.filter((child) => !child.isReady)
      const names = late.map((child) => child.name).join(', ')
      return (
        generation.failure ?? {
          cause: `not ready after ${deadlines.startMs} ms: ${names}`,
          evidence: late.flatMap((child) => [...child.waits.map((wait) => `waits for ${wait}`), ...child.evidence()]),
        }
      )
    }
    times.readyMs = elapsed()
    generation.enter('proving')
    const problems = await Promise.all(
      generation.workers.map(async (worker) =>
        worker.probe === undefined
          ? `worker ${worker.index} named no probe address`
          : await probe(worker.probe, deadlines.proveMs),
      ),
    )
    const seen = problems.filter((problem) => problem !== undefined)
    if (generation.failure !== undefined) return generation.failure
    if (seen.length > 0) return { cause: `self-test failed: ${seen[0]}`, evidence: seen }
    times.provenMs = elapsed()
    return undefined
  }

  /** One worker serves beside the old generation until its time is over or it fails. */
  private async try(generation: Generation, order: CanaryOrder): Promise<Canary | undefined> {
    const { deadlines, log, now, tree } = this.deps
    const worker = generation.workers[0]!
    generation.enter('canary')
    worker.send({ type: 'serve' })
    if (!(await generation.waitFor(() => worker.isServing, deadlines.takeOverMs))) {
      generation.failure ??= { cause: `canary: does not listen after ${deadlines.takeOverMs} ms`, evidence: [] }
      return undefined
    }
    log('info', `${worker.name} of generation ${generation.number} is a canary for ${order.forMs} ms`, { ...order })
    const canary = new Canary(generation, worker, order, now)
    tree.canary = canary
    try {
      await canary.run()
    } finally {
      tree.canary = undefined
    }
    const { canary: seen, others, says, verdict } = canary.report()
    log(verdict === 'failed' ? 'error' : 'info', `canary ${verdict}: ${says}`, { canary: seen, others })
    return canary
  }

  private async letIn(generation: Generation): Promise<Failure | undefined> {
    const { deadlines } = this.deps
    generation.enter('taking-over')
    for (const worker of generation.workers) if (!worker.isServing) worker.send({ type: 'serve' })
    const isServing = (): boolean => generation.workers.every((worker) => worker.isServing)
    if (!(await generation.waitFor(isServing, deadlines.takeOverMs))) {
      return generation.failure ?? { cause: `does not listen after ${deadlines.takeOverMs} ms`, evidence: [] }
    }
    return undefined
  }

  /** Ends a generation that never served, giving the connections it took meanwhile to the old one. */
  private async takeBack(generation: Generation, from: Generation | undefined, failure: Failure): Promise<void> {
    const { deps } = this
    const living = generation.workers.filter((worker) => !worker.isGone)
    const accepted = living.filter((worker) => worker.isServing)
    // one that was let in and has not said so may accept already
    const letIn = generation.phase === 'taking-over' ? living : accepted
    generation.failure = undefined
    generation.enter('failed')
    deps.log(
      'error',
      `generation ${generation.number} failed: ${failure.cause}; ${from === undefined ? 'nothing serves' : `generation ${from.number} serves on`}`,
    )
    if (from !== undefined) {
      for (const worker of letIn) deps.retirement.order(worker, from)
      // what they have may take as long as anything that drains
      await generation.waitFor(() => accepted.every((worker) => worker.isGone), deps.deadlines.drainMs + patienceMs)
      await generation.waitFor(() => letIn.every((worker) => worker.isGone), patienceMs)
    }
    generation.killAll('its generation failed')
    await generation.waitFor(() => generation.living.length === 0, killPatienceMs)
    deps.onGivenBack()
    deps.tree.forget(generation)
    deps.generation.onChange()
  }
}
