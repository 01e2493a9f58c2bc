/**
 * All drills, in the order in which `hostmesh drill all` runs them: first what touches nothing that carries traffic.
 */
import { join } from 'node:path'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { controlDrills } from './control-drills.ts'
import type { Drill } from './drill.ts'
import { processDrills } from './process-drills.ts'
import { releaseDrills } from './release-drills.ts'
import { upstreamDrills } from './upstream-drills.ts'

export const drills: readonly Drill[] = [...controlDrills, ...upstreamDrills, ...releaseDrills, ...processDrills]

export function drillDirectory(config: AgentConfig): string {
  return join(config.stateDir, 'drills')
}
