import type { ExplainAnswer, ExplainRequest } from '../../../contracts/control-link.ts'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import { explainRequest } from '../route/explain.ts'
import type { AskedBy, AskedFault, AskedRequest } from '../route/explain.ts'
import type { MeshState } from './mesh-state.ts'

/**
 * Why a request would go where it goes, from the tables that the data path reads. Makes no destination that was not in
 * use.
 */
export function explain(
  state: MeshState,
  now: number,
  request: ExplainRequest,
  read: (request: ExplainRequest, by: AskedBy, limits: LimitsSpec) => AskedRequest | AskedFault,
): ExplainAnswer {
  return explainRequest(request, {
    listeners: [...state.listeners.values()],
    names: state.names,
    read: (asked, by) => read(asked, by, state.limits),
    sourceApps: Object.values(state.mesh.sourceAppsByUid),
    destination: (destination) => state.describe(destination.clusterKey, now),
  })
}
