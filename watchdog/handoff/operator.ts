/**
 * What an operator may ask. Every answer is an outcome; nothing here can hurt a healthy generation except the drills
 * that say so.
 */
import type { CanaryOrder } from '../../contracts/canary.ts'
import { MeshError } from '../../contracts/errors.ts'
import { maxCenterCutMs } from '../../contracts/handoff.ts'
import type { OperatorReply, OperatorRequest, Release, RestartReport, WatchdogState } from '../../contracts/handoff.ts'
import type { Log } from '../log.ts'
import { assertRelease, isSameRelease } from '../options.ts'
import type { ProcessTree } from '../supervise/tree.ts'
import { assertOrder } from './canary.ts'
import type { Replacement, Waiting } from './replacement.ts'

const signals = ['SIGKILL', 'SIGSTOP', 'SIGCONT', 'SIGTERM'] as const

export interface OperatorDeps {
  readonly tree: ProcessTree
  readonly replacement: Replacement
  readonly log: Log
  state(): WatchdogState
  stop(deadlineMs: number): Promise<void>
  cutCenters(forMs: number): void
}

export class OperatorDesk {
  private readonly deps: OperatorDeps
  /** The newest upgrade with a canary. */
  private trial: Promise<RestartReport> | undefined

  constructor(deps: OperatorDeps) {
    this.deps = deps
  }

  answer(request: OperatorRequest, reply: (answer: OperatorReply) => void): void {
    this.act(request).then(reply, (error: unknown) => {
      const code = error instanceof MeshError ? error.code : 'E_INTERNAL'
      const message = error instanceof Error ? error.message : String(error)
      // who asked by a signal hears no reply
      this.deps.log('warn', `${request.type} refused: ${code}  ${message}`)
      reply({ type: 'refused', code, message })
    })
  }

  /** Same release again: after a change of configuration, or to be sure of fresh processes. */
  async reload(wait: Waiting): Promise<RestartReport> {
    return this.deps.replacement.replace('reload', this.serving().release, wait)
  }

  /** To what runs already it is a reload: what a rollback would go back to stays. */
  private upgrade(release: Release, wait: Waiting, canary?: CanaryOrder): Promise<RestartReport> {
    const kind = isSameRelease(this.serving().release, release) ? 'reload' : 'upgrade'
    return this.deps.replacement.replace(kind, release, wait, canary && { canary })
  }

  private tryOut(release: Release, wait: Waiting, order: CanaryOrder): Promise<RestartReport> {
    const isOther = this.deps.tree.next !== undefined
    const trial = this.upgrade(release, wait, order)
    // one that is refused, because another one is under way, is none that a rollback could take back
    if (!isOther) this.trial = trial
    return trial
  }

  private async act(request: OperatorRequest): Promise<OperatorReply> {
    const { deps } = this
    if (request.type !== 'status') deps.log('info', `an operator asks: ${request.type}`)
    switch (request.type) {
      case 'operator':
      case 'status':
        return { type: 'state', state: deps.state() }
      case 'reload':
        return { type: 'outcome', report: await this.reload(readWait(request.wait)) }
      case 'upgrade':
        assertRelease(request.release)
        return { type: 'outcome', report: await this.upgrade(request.release, readWait(request.wait)) }
      case 'canary':
        assertRelease(request.release)
        assertOrder(request.order)
        return { type: 'outcome', report: await this.tryOut(request.release, readWait(request.wait), request.order) }
      case 'rollback': {
        if (deps.tree.canary !== undefined && this.trial !== undefined) {
          deps.tree.canary.takeBack()
          return { type: 'outcome', report: await this.trial }
        }
        const release = deps.tree.previousRelease
        if (release === undefined) {
          throw new MeshError(
            'E_HANDOFF_REFUSED',
            'rollback: no earlier release is kept; upgrade to the wanted one instead',
          )
        }
        return { type: 'outcome', report: await deps.replacement.replace('rollback', release, readWait(request.wait)) }
      }
      case 'stop':
        await deps.stop(Number.isFinite(request.deadlineMs) ? Math.max(0, request.deadlineMs) : 0)
        return { type: 'done' }
      case 'cut-centers':
        if (!(request.forMs >= 0 && request.forMs <= maxCenterCutMs))
          throw new MeshError('E_ADMIN_REQUEST', `forMs ${String(request.forMs)}: allowed 0 to ${maxCenterCutMs}`)
        deps.cutCenters(request.forMs)
        return { type: 'done' }
      case 'signal':
        this.signal(request)
        return { type: 'done' }
      default:
        throw new MeshError(
          'E_ADMIN_REQUEST',
          `${String((request as { type?: unknown }).type)}: not a request this watchdog knows`,
        )
    }
  }

  private signal(request: Extract<OperatorRequest, { type: 'signal' }>): void {
    const { target, signal } = request
    if (!signals.includes(signal))
      throw new MeshError('E_ADMIN_REQUEST', `signal ${String(signal)}: allowed ${signals.join(', ')}`)
    if (target.role === 'watchdog') {
      // Answered first, because afterwards nobody is left to answer.
      setImmediate(() => process.kill(process.pid, signal))
      return
    }
    const generation = this.serving()
    const children =
      target.role === 'generation'
        ? generation.living
        : generation.living.filter((child) => child.role === target.role && child.index === target.index)
    if (children.length === 0)
      throw new MeshError('E_ADMIN_REQUEST', `${target.role} ${target.index}: no such process runs now`)
    for (const child of children) child.kill(signal)
  }

  private serving(): NonNullable<ProcessTree['current']> {
    const { current } = this.deps.tree
    if (current === undefined)
      throw new MeshError('E_HANDOFF_REFUSED', 'no generation serves yet; try again when one does')
    return current
  }
}

function readWait(wait: unknown): Waiting {
  return wait === 'gone' ? 'gone' : 'serving'
}
