/** The fault that a drill has asked of control: one at a time, and ended by itself, whatever became of the drill. */
import {
  type DrillFault,
  type DrillOrder,
  drillFaults,
  maxFaultByMs,
  maxFaultMs,
} from '../../../contracts/drill-fault.ts'
import { MeshError } from '../../../contracts/errors.ts'
import type { AdapterLog, AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import type { Clock } from '../clock.ts'
import type { FaultyRegistry } from '../core/registries/faulty-registry.ts'
import type { StateDirectory } from '../core/state/state-directory.ts'
import type { SteppedClock } from '../stepped-clock.ts'

export interface RunningFaultDeps {
  readonly registries: readonly FaultyRegistry[]
  readonly state: Pick<StateDirectory, 'setFailing'>
  /** What is stepped. */
  readonly stepped: Pick<SteppedClock, 'setStep'>
  /** By which a fault ends. */
  readonly clock: Pick<Clock, 'after'>
  readonly log: AdapterLog
  readonly metrics: AdapterMetrics
}

export class RunningFault {
  private readonly deps: RunningFaultDeps
  private running: DrillFault | undefined
  private cancel = (): void => undefined

  constructor(deps: RunningFaultDeps) {
    this.deps = deps
  }

  /** Replaces what runs. Throws E_ADMIN_REQUEST for an order that is none. */
  take(body: unknown): DrillOrder {
    const order = readOrder(body)
    this.end()
    if (order.fault !== 'none') this.begin(order.fault, order.forMs!, order.byMs ?? 0)
    return order
  }

  private begin(fault: DrillFault, forMs: number, byMs: number): void {
    const { clock, log, metrics } = this.deps
    this.running = fault
    metrics.gauge('drill_fault', { fault }, 1)
    log.warn({ fault, forMs, byMs }, `a drill begins: ${fault} for ${forMs} ms`)
    this.set(fault, byMs)
    this.cancel = clock.after(forMs, () => this.end())
  }

  private end(): void {
    const { running } = this
    if (running === undefined) return
    this.cancel()
    this.running = undefined
    this.clear(running)
    this.deps.metrics.gauge('drill_fault', { fault: running }, 0)
    this.deps.log.info({ fault: running }, `a drill has ended: ${running}`)
  }

  private set(fault: DrillFault, byMs: number): void {
    const { registries, state, stepped } = this.deps
    const all = (one: Parameters<FaultyRegistry['setFault']>[0]): void => {
      for (const registry of registries) registry.setFault(one)
    }
    switch (fault) {
      case 'cut-registry':
        return all({ kind: 'lost', code: 'E_REGISTRY_UNREACHABLE', message: 'cut off by a drill' })
      case 'deny-registry':
        return all({ kind: 'lost', code: 'E_REGISTRY_DENIED', message: 'refused by a drill' })
      case 'empty-registry':
        return all({ kind: 'empty' })
      case 'slow-registry':
        return all({ kind: 'slow', delayMs: byMs })
      case 'full-disk':
        return state.setFailing(
          new MeshError('E_SNAPSHOT_WRITE', 'state files cannot be written: a drill plays a full disk'),
        )
      case 'clock-step':
        return stepped.setStep(byMs)
    }
  }

  private clear(fault: DrillFault): void {
    const { registries, state, stepped } = this.deps
    if (fault === 'full-disk') state.setFailing(undefined)
    else if (fault === 'clock-step') stepped.setStep(0)
    else for (const registry of registries) registry.setFault(undefined)
  }
}

function readOrder(body: unknown): DrillOrder {
  const { fault, forMs, byMs } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  if (fault === 'none') return { fault }
  const known = drillFaults.find((one) => one === fault)
  if (known === undefined)
    throw new MeshError(
      'E_ADMIN_REQUEST',
      `fault: found ${JSON.stringify(fault)}, allowed none, ${drillFaults.join(', ')}`,
    )
  if (typeof forMs !== 'number' || !(forMs >= 1 && forMs <= maxFaultMs))
    throw new MeshError('E_ADMIN_REQUEST', `forMs: found ${JSON.stringify(forMs)}, allowed 1 to ${maxFaultMs}`)
  const needsAmount = known === 'slow-registry' || known === 'clock-step'
  const least = known === 'clock-step' ? -maxFaultByMs : 1
  const most = known === 'clock-step' ? maxFaultByMs : maxFaultMs
  if (!needsAmount) return { fault: known, forMs }
  if (typeof byMs !== 'number' || !(byMs >= least && byMs <= most))
    throw new MeshError('E_ADMIN_REQUEST', `byMs: found ${JSON.stringify(byMs)}, allowed ${least} to ${most}`)
  return { fault: known, forMs, byMs }
}
