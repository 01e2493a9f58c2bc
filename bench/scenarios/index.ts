import type { Scenario } from '../scenario.ts'
import { agent } from './agent.ts'
import { bulk } from './bulk.ts'
import { changes } from './changes.ts'
import { control } from './control.ts'
import { features } from './features.ts'
import { garbage } from './garbage.ts'
import { http1 } from './http1.ts'
import { idle } from './idle.ts'
import { latency } from './latency.ts'
import { lowRate } from './low-rate.ts'
import { scale } from './scale.ts'
import { syscalls } from './syscalls.ts'
import { tcp } from './tcp.ts'
import { telemetry } from './telemetry.ts'
import { workers } from './workers.ts'

export const scenarios: readonly Scenario[] = [
  http1,
  features,
  telemetry,
  tcp,
  bulk,
  latency,
  lowRate,
  idle,
  scale,
  control,
  changes,
  agent,
  workers,
  syscalls,
  garbage,
]
