import type { AgentConfig } from '../../agent/control/config/types.ts'
import { type LivenessOptions, fixedOptions } from '../../watchdog/options.ts'

/** How the watchdog of this host asks its processes for a sign of life. */
export function livenessOf({ watchdog }: Pick<AgentConfig, 'watchdog'>): LivenessOptions {
  return {
    periodMs: watchdog.probeInterval,
    suspectMs: watchdog.probeTimeout,
    // nobody is ended before a neighbour had the time to stand in
    deadMs: Math.max(fixedOptions.deadMs, 2 * watchdog.probeTimeout),
  }
}
