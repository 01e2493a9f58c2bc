/**
 * File names inside the run directory (`/run/hostmesh`, mode 0700) and the state directory (`/var/lib/hostmesh`, mode
 * 0700).
 */

export const runFiles = {
  /**
   * Stream socket of the watchdog, frames of `contracts/handoff.ts`. Also the lock: whoever answers there owns the
   * directory.
   */
  watchdog: 'watchdog.sock',
  /** Datagram socket on which the watchdog receives descriptors. */
  watchdogDescriptors: 'watchdog.fds',
  /** Stream socket of a generation's control, frames of `contracts/control-link.ts`. */
  control: (generation: number) => `control-${generation}.sock`,
  /** Stream socket of a generation's control for spans and log records, `contracts/telemetry.ts`. */
  telemetry: (generation: number) => `telemetry-${generation}.sock`,
  /** Datagram socket on which a worker receives descriptors. */
  workerDescriptors: (generation: number, index: number) => `worker-${generation}-${index}.fds`,
  /** Stream socket on which a worker takes over connections from its predecessor. */
  workerTakeover: (generation: number, index: number) => `worker-${generation}-${index}.sock`,
  /** Locked by the worker that reads the UDP sockets of a shard. */
  udpTurn: (shard: number) => `udp-${shard}.turn`,
  /** HTTP admin of the newest control. */
  admin: 'admin.sock',
  /** What an operator has drained: `inbound` or `all`; absent = nothing. */
  drained: 'drained',
} as const

export const stateFiles = {
  /** Last good snapshot, checksummed. */
  snapshot: 'snapshot.json',
  /** Port of each outbound service and inbound application, so that they stay over restarts. */
  ports: 'ports.json',
  /** What the watchdog relays to when no generation is healthy; `contracts/relay-targets.ts`. */
  relayTargets: 'relay-targets.json',
  /** Certificate of the host with its key, for its calls of a center; `contracts/relay-identity.ts`. */
  relayIdentity: 'relay-identity.json',
  /** Desired registrations of this host, for the next generation and for the watchdog's report. */
  registrations: 'registrations.json',
  /** Services that the host was told of while it ran, `agent/control/host/listeners/told-services.ts`. */
  toldServices: 'told-services.json',
  /** Certificates of this host with their keys, `agent/control/host/identities/`. */
  identities: 'identities.json',
  /** What `hostmesh join` got; the agent takes it up and removes it. */
  joined: 'joined.json',
  /** Whether workers may keep their sockets themselves on this host; `agent/worker/transport/epoll/trial.ts`. */
  transportTrial: 'transport-trial.json',
  /** Of a worker index: deaths while it did; `agent/worker/transport/epoll/deaths.ts`. */
  transportDeaths: (index: number) => `transport-deaths-${index}.json`,
  /** Which filters of users held a worker up, a file each; `agent/worker/filters/user/hang-marks.ts`. */
  filterMarks: 'filter-marks',
  /** Counters of workers that are gone, so that the next control's sums do not fall. */
  counters: 'counters.json',
  /** What happened on this node, `agent/control/events/`. */
  events: 'events.json',
  /** Reports of restarts, one JSON file each. */
  reports: 'reports',
} as const
