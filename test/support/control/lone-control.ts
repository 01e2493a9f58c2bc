/** What a control asks of the world around it, where there is none. */
import type { ControlDeps } from '../../../agent/control/control.ts'
import { systemClock } from '../../../agent/control/clock.ts'
import { entrySet } from '../../../agent/control/core/rules/service-entry.ts'

export const loneControl = {
  entrySet,
  resolve: () => Promise.resolve({ addresses: [], ttlMs: 30_000 }),
  fetchText: () => Promise.reject(new Error('nothing is fetched here')),
  probe: () => Promise.resolve(),
  uidOf: () => undefined,
  clock: systemClock,
} satisfies Partial<ControlDeps>
