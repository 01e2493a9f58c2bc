/** Fills in what only the machine knows (host name and address, processors) and makes paths absolute. */
import { dirname, isAbsolute, join, resolve as resolvePath } from 'node:path'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import { defaultGroup, defaultNamespace, parseServiceName } from '../../../contracts/endpoint.ts'
import { nacosFaceLocated } from '../kinds/nacos-face.ts'
import { kindOf } from '../kinds/registries.ts'
import { roles } from './roles.ts'
import { apiSection } from './schema.ts'
import type { AgentFile, ApplicationFile } from './schema.ts'
import type { AgentConfig, ApplicationConfig } from './types.ts'

/** Nacos's word for "in no cluster in particular". */
const defaultCluster = 'DEFAULT'

/** Facts of the machine, handed in so that a check of another machine's file is possible and tests need no real one. */
export interface MachineFacts {
  readonly hostName: string
  /** Address of the default route's interface; undefined = there is no such route. */
  readonly defaultAddress: string | undefined
  readonly processors: number
}

export function resolveConfig(file: string, parsed: AgentFile, machine: MachineFacts): AgentConfig {
  const absoluteFile = resolvePath(file)
  const folder = dirname(absoluteFile)
  const absolute = (path: string): string => (isAbsolute(path) ? path : join(folder, path))
  const role = roles[parsed.role]
  const address = parsed.host.address ?? machine.defaultAddress ?? '127.0.0.1'
  const runDir = absolute(parsed.runDir ?? role.runDir)
  const namings = parsed.registries.flatMap((section) => kindOf(section).naming(section) ?? [])
  const serviceDefaults = {
    namespace: namings[0]?.namespace ?? defaultNamespace,
    group: namings[0]?.group ?? defaultGroup,
    groups: [...new Set(namings.flatMap(({ group, groups }) => groups ?? [group]))],
  }
  const at = (port: number): { host: string; port: number } => ({ host: address, port })
  return {
    file: absoluteFile,
    role: parsed.role,
    host: {
      name: parsed.host.name ?? machine.hostName,
      address,
      // a Nacos cluster is a place, too: who says no other calls its own cluster first
      zone: parsed.host.zone === '' && parsed.host.region === '' ? clusterOf(namings) : parsed.host.zone,
      region: parsed.host.region,
    },
    registries: parsed.registries.map((section) => kindOf(section).located(section, absolute)),
    endpoints: parsed.endpoints,
    dns: parsed.dns,
    serviceDefaults,
    outbound: {
      ...parsed.outbound,
      services: parsed.outbound.services.map((one) => ({
        service: parseServiceName(one.service, serviceDefaults)!,
        protocol: one.protocol,
        port: one.port,
        halfClosed: one.halfClosed ?? parsed.outbound.halfClosed,
      })),
      http: parsed.outbound.http ?? role.outboundHttp,
    },
    inbound: { ...parsed.inbound, address: parsed.inbound.address ?? address },
    center: { ...parsed.center, secretFile: located(parsed.center.secretFile, absolute) },
    relay:
      role.servesHosts && parsed.relay !== undefined
        ? { ...parsed.relay, secretFile: located(parsed.relay.secretFile, absolute) }
        : undefined,
    api: role.servesHosts ? (parsed.api ?? apiSection.parse({})) : undefined,
    workerTransport: parsed.workerTransport,
    workers: parsed.workers === 'auto' ? Math.max(1, Math.min(64, machine.processors)) : parsed.workers,
    admin: { address: parsed.admin.address, socket: absolute(parsed.admin.socket ?? join(runDir, 'admin.sock')) },
    metrics: { address: parsed.metrics.address ?? at(15_020) },
    readiness: { address: parsed.readiness.address ?? at(15_021) },
    limits: limitsOf(parsed.limits),
    accessLog: {
      ...parsed.accessLog,
      path: parsed.accessLog.path === '-' ? '-' : absolute(parsed.accessLog.path),
      collector: locatedCollector(parsed.accessLog.collector, absolute),
    },
    tracing: { ...parsed.tracing, collector: locatedCollector(parsed.tracing.collector, absolute) },
    generateRequestId: parsed.generateRequestId,
    fallbackNetworks: parsed.fallbackNetworks,
    nacosFace: nacosFaceLocated(parsed.nacosFace, absolute),
    runDir,
    stateDir: absolute(parsed.stateDir ?? role.stateDir),
    servicesDir: absolute(parsed.servicesDir ?? role.servicesDir),
    rulesDir: absolute(parsed.rulesDir),
    rules: parsed.rules,
    watchdog: parsed.watchdog,
    logging: parsed.logging,
  }
}

export function resolveApplication(
  file: string,
  parsed: ApplicationFile,
  defaults: { namespace: string; group: string },
): ApplicationConfig {
  return { ...parsed, service: parseServiceName(parsed.service, defaults)!, file }
}

function locatedCollector<Found extends { headersFile?: string | undefined; ca?: string | undefined }>(
  found: Found | undefined,
  absolute: (path: string) => string,
): Found | undefined {
  if (found === undefined) return undefined
  const { ca, headersFile } = found
  return { ...found, headersFile: located(headersFile, absolute), ca: located(ca, absolute) }
}

function clusterOf(namings: readonly { readonly cluster: string }[]): string {
  const cluster = namings[0]?.cluster ?? defaultCluster
  return cluster === defaultCluster ? '' : cluster
}

function limitsOf(limits: AgentFile['limits']): LimitsSpec {
  const {
    drainTimeout,
    headTimeout,
    keepAliveTimeout,
    halfClosedTimeout,
    bodyIdleTimeout,
    requestTimeout,
    parkTimeout,
    ...rest
  } = limits
  return {
    ...rest,
    drainTimeoutMs: drainTimeout,
    headTimeoutMs: headTimeout,
    keepAliveTimeoutMs: keepAliveTimeout,
    halfClosedTimeoutMs: halfClosedTimeout,
    bodyIdleTimeoutMs: bodyIdleTimeout,
    requestTimeoutMs: requestTimeout,
    parkTimeoutMs: parkTimeout,
  }
}

function located(path: string | undefined, absolute: (path: string) => string): string | undefined {
  return path === undefined ? undefined : absolute(path)
}
