/**
 * Options of a watchdog for tests, which have their own deadlines: what `cli/commands/processes.ts` makes of a file.
 */
import { type WatchdogOptions, fixedOptions } from '../../../watchdog/options.ts'

type Tuned = Pick<WatchdogOptions, 'deadlines' | 'liveness' | 'restarts' | 'bounds'>
export type Tuning = { readonly [K in keyof Tuned]?: Partial<Tuned[K]> }

export const testOptions: Tuned = {
  deadlines: { ...fixedOptions.deadlines, startMs: 15_000, drainMs: 60_000 },
  liveness: { periodMs: 2500, suspectMs: 1000, deadMs: fixedOptions.deadMs },
  restarts: fixedOptions.restarts,
  bounds: { ...fixedOptions.bounds, maxChildBytes: 1024 ** 3, maxDraining: 3 },
}

export function tuned({ bounds, deadlines, liveness, restarts }: Tuning = {}): Tuned {
  return {
    deadlines: { ...testOptions.deadlines, ...deadlines },
    liveness: { ...testOptions.liveness, ...liveness },
    restarts: { ...testOptions.restarts, ...restarts },
    bounds: { ...testOptions.bounds, ...bounds },
  }
}
