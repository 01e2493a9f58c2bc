/**
 * What the state directory remembers of the last run. The files passed their checksums, so their shapes are ours;
 * endpoints pass the gate again anyway.
 */
import type { EndpointSet, ServiceKey } from '../../../../contracts/endpoint.ts'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import type { Snapshot } from '../../../../contracts/snapshot.ts'

export interface LastRun {
  /** 0 = none. */
  readonly version: number
  /** Each is taken out when it is used. */
  readonly endpoints: Map<ServiceKey, EndpointSet>
  /** Names that callers used and that led somewhere. */
  readonly names: readonly string[]
  /** Services that had a localhost port of their own. */
  readonly open: readonly OpenService[]
  /** Hosts that the authority of this center denied. */
  readonly deniedHosts: readonly string[]
}

export interface OpenService {
  readonly key: ServiceKey
  readonly protocol: AppProtocol
}

export function lastRun(body: unknown): LastRun {
  const { names = {}, services = {}, listeners = {}, version = 0 } = (body ?? {}) as Partial<Snapshot>
  const endpoints = new Map<ServiceKey, EndpointSet>()
  for (const service of Object.values(services))
    if (Array.isArray(service?.endpoints?.endpoints)) endpoints.set(service.key, service.endpoints)
  return {
    version: Number.isSafeInteger(version) && version > 0 ? version : 0,
    endpoints,
    names: Object.entries(names).flatMap(([name, host]) => (typeof host === 'string' ? [name] : [])),
    open: Object.values(listeners).flatMap((one) =>
      one?.kind === 'service' ? [{ key: one.service, protocol: one.protocol }] : [],
    ),
    deniedHosts: Object.values(listeners).flatMap((one) => (one?.kind === 'relay' ? (one.deniedHosts ?? []) : [])),
  }
}
