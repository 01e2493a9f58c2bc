import type { Scenario } from '../scenario.ts'
import { agent } from './agent.ts'
import { bulk } from './bulk.ts'
import { changes } from './changes.ts'
import { collectorGone } from './collector-gone.ts'
import { compression } from './compression.ts'
import { control } from './control.ts'
import { extAuthz } from './ext-authz.ts'
import { features } from './features.ts'
import { filters } from './filters.ts'
import { garbage } from './garbage.ts'
import { http1 } from './http1.ts'
import { grpc, http2 } from './http2.ts'
import { idle } from './idle.ts'
import { largeHost } from './large-host.ts'
import { latency } from './latency.ts'
import { liveViews } from './live-views.ts'
import { lowRate } from './low-rate.ts'
import { neighbours } from './neighbours.ts'
import { overload } from './overload.ts'
import { policies } from './policies.ts'
import { rpc } from './rpc.ts'
import { scale } from './scale.ts'
import { spread } from './spread.ts'
import { syscalls } from './syscalls.ts'
import { tcp } from './tcp.ts'
import { telemetry } from './telemetry.ts'
import { tls } from './tls.ts'
import { udp } from './udp.ts'
import { unixSocket } from './unix-socket.ts'
import { workers } from './workers.ts'

export const scenarios: readonly Scenario[] = [
  http1,
  http2,
  grpc,
  features,
  filters,
  compression,
  policies,
  extAuthz,
  telemetry,
  collectorGone,
  liveViews,
  tcp,
  udp,
  tls,
  rpc,
  bulk,
  latency,
  lowRate,
  neighbours,
  overload,
  unixSocket,
  idle,
  scale,
  control,
  changes,
  agent,
  largeHost,
  workers,
  spread,
  syscalls,
  garbage,
]
