import type { ListenerSpec, MeshSpec } from '../../../contracts/snapshot.ts'
import type { Clock } from '../transport/clock.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'
import type { CallerIdentity } from './caller-identity.ts'

export interface CallerIntakeDeps {
  readonly callers: CallerIdentity
  readonly clock: Clock
  readonly mesh: () => MeshSpec
}

/**
 * Finds out who calls: what the transport has proved, else for outbound connections the user of this host whose socket
 * it is, asked only where the configuration tells applications by their users.
 */
export class CallerIntake implements IntakeStep {
  private readonly deps: CallerIntakeDeps

  constructor(deps: CallerIntakeDeps) {
    this.deps = deps
  }

  begin(arriving: Arriving, next: NextStep): void {
    const { sourceAppsByUid } = this.deps.mesh()
    const { identity } = arriving.transport.peer()
    arriving.source = arriving.spec.source
    if (identity.kind !== 'none') {
      arriving.identity = identity
      if (identity.kind === 'user') arriving.source ??= sourceAppsByUid[identity.uid]
      next(arriving)
    } else if (isOfTheNetwork(arriving.context.kind) || arriving.proxy !== null || !hasEntries(sourceAppsByUid)) {
      next(arriving)
    } else {
      void this.find(arriving, next, sourceAppsByUid)
    }
  }

  private async find(arriving: Arriving, next: NextStep, apps: MeshSpec['sourceAppsByUid']): Promise<void> {
    const { callers, clock } = this.deps
    const { transport } = arriving
    const identity = await callers.find(transport.peer(), transport.descriptor)
    if (transport.isClosed) {
      arriving.onEnd()
      return
    }
    clock.refresh()
    arriving.identity = identity
    if (identity.kind === 'user') arriving.source ??= apps[identity.uid]
    next(arriving)
  }
}

/** Its callers are no applications of this host. */
function isOfTheNetwork(kind: ListenerSpec['kind']): boolean {
  return kind === 'inbound' || kind === 'gateway'
}

function hasEntries(record: object): boolean {
  for (const _ in record) return true
  return false
}
