import type { MeshSpec } from '../../../contracts/snapshot.ts'
import type { Clock } from '../transport/clock.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'
import type { CallerIdentity } from './caller-identity.ts'

export interface CallerIntakeDeps {
  readonly callers: CallerIdentity
  readonly clock: Clock
  readonly mesh: () => MeshSpec
}

/** Finds the calling application of an outbound connection, where the configuration tells applications by their users. */
export class CallerIntake implements IntakeStep {
  private readonly deps: CallerIntakeDeps

  constructor(deps: CallerIntakeDeps) {
    this.deps = deps
  }

  begin(arriving: Arriving, next: NextStep): void {
    const apps = this.deps.mesh().sourceAppsByUid
    if (arriving.context.kind === 'inbound' || arriving.proxy !== null || !hasEntries(apps)) next(arriving)
    else void this.find(arriving, next, apps)
  }

  private async find(arriving: Arriving, next: NextStep, apps: MeshSpec['sourceAppsByUid']): Promise<void> {
    const { callers, clock } = this.deps
    const { transport } = arriving
    arriving.source = await callers.find(transport.peer(), apps, transport.descriptor)
    if (transport.isClosed) {
      arriving.onEnd()
      return
    }
    clock.refresh()
    next(arriving)
  }
}

function hasEntries(record: object): boolean {
  for (const _ in record) return true
  return false
}
