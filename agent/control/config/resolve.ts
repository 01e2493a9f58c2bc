/** Fills in what only the machine knows (host name and address, processors) and makes paths absolute. */
import { dirname, isAbsolute, join, resolve as resolvePath } from 'node:path'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import { defaultGroup, defaultNamespace, parseServiceName } from '../../../contracts/endpoint.ts'
import { userFilterOf } from './filters-section.ts'
import { nacosFaceLocated } from '../kinds/nacos-face.ts'
import { withSofaPort } from '../kinds/sofa-face.ts'
import { systemGid, systemUid, userId } from '../host/applications/source-apps.ts'
import { kindOf } from '../kinds/registries.ts'
import type { NodeKind, OwnSections } from './node-kind.ts'
import { ownPorts } from './schema.ts'
import type { ApplicationFile, NodeFile } from './schema.ts'
import type { AgentConfig, ApplicationConfig, OutboundService } from './types.ts'

/** Facts of the machine, handed in so that a check of another machine's file is possible and tests need no real one. */
export interface MachineFacts {
  readonly hostName: string
  /** Address of the default route's interface; undefined = there is no such route. */
  readonly defaultAddress: string | undefined
  readonly processors: number
}

export function resolveConfig<File extends NodeFile, Config extends AgentConfig>(
  kind: NodeKind<File, Config>,
  file: string,
  parsed: File,
  machine: MachineFacts,
): Config {
  const absoluteFile = resolvePath(file)
  const folder = dirname(absoluteFile)
  const absolute = (path: string): string => (isAbsolute(path) ? path : join(folder, path))
  const own = kind.resolve(parsed, absolute)
  const shared = sharedConfig(kind, absoluteFile, parsed, absolute, machine)
  return { ...shared, ...own } as AgentConfig as Config
}

function sharedConfig(
  { role, defaults }: NodeKind,
  absoluteFile: string,
  parsed: NodeFile,
  absolute: (path: string) => string,
  machine: MachineFacts,
): Omit<AgentConfig, OwnSections> {
  const address = parsed.host.address ?? machine.defaultAddress ?? '127.0.0.1'
  const runDir = absolute(parsed.runDir ?? defaults.runDir)
  const namings = parsed.registries.flatMap((section) => kindOf(section).naming(section) ?? [])
  const serviceDefaults = {
    namespace: namings[0]?.namespace ?? defaultNamespace,
    group: namings[0]?.group ?? defaultGroup,
    groups: [...new Set(namings.flatMap(({ group, groups }) => groups ?? [group]))],
  }
  const at = (port: number): { host: string; port: number } => ({ host: address, port })
  return {
    file: absoluteFile,
    role,
    host: {
      name: parsed.host.name ?? machine.hostName,
      address,
      zone: parsed.host.zone === '' && parsed.host.region === '' ? (namings[0]?.zone ?? '') : parsed.host.zone,
      region: parsed.host.region,
      labels: parsed.host.labels,
    },
    registries: parsed.registries.map((section) => kindOf(section).located(section, absolute)),
    endpoints: parsed.endpoints,
    dns: parsed.dns,
    serviceDefaults,
    outbound: {
      ...parsed.outbound,
      services: parsed.outbound.services.map((one) =>
        outboundServiceOf(one, serviceDefaults, parsed.outbound.halfClosed),
      ),
      http: parsed.outbound.http ?? defaults.outboundHttp,
      rpc: withSofaPort(parsed.outbound.rpc, parsed.sofaFace),
      sockets: parsed.outbound.sockets.map(({ application, group, user, ...socket }) => ({
        ...socket,
        path: isAbsolute(socket.path) ? socket.path : join(runDir, socket.path),
        user,
        group,
        uid: user === undefined ? undefined : userId(user, systemUid),
        gid: group === undefined ? undefined : userId(group, systemGid),
        application: application === undefined ? undefined : parseServiceName(application, serviceDefaults)!,
      })),
    },
    inbound: { ...parsed.inbound, address: parsed.inbound.address ?? address },
    identity: { ...parsed.identity, workloadApi: located(parsed.identity.workloadApi, absolute) },
    tls: {
      credentialsDir: absolute(parsed.tls.credentialsDir),
      identities: parsed.tls.identities.map(({ certificate, key, trustBundle }) => ({
        certificate: absolute(certificate),
        key: absolute(key),
        trustBundle: absolute(trustBundle),
      })),
    },
    workerTransport: parsed.workerTransport,
    workers: parsed.workers === 'auto' ? Math.max(1, Math.min(64, machine.processors)) : parsed.workers,
    admin: { address: parsed.admin.address, socket: absolute(parsed.admin.socket ?? join(runDir, 'admin.sock')) },
    metrics: { address: parsed.metrics.address ?? at(ownPorts.metrics) },
    readiness: { address: parsed.readiness.address ?? at(ownPorts.readiness) },
    limits: limitsOf(parsed.limits),
    accessLog: {
      ...parsed.accessLog,
      path: parsed.accessLog.path === '-' ? '-' : absolute(parsed.accessLog.path),
      collector: locatedCollector(parsed.accessLog.collector, absolute),
    },
    tracing: { ...parsed.tracing, collector: locatedCollector(parsed.tracing.collector, absolute) },
    generateRequestId: parsed.generateRequestId,
    fallbackNetworks: parsed.fallbackNetworks,
    rpcProtocols: parsed.rpcProtocols,
    filters: parsed.filters.map((one) => userFilterOf(one, dirname(absoluteFile))),
    nacosFace: nacosFaceLocated(parsed.nacosFace, absolute),
    sofaFace: parsed.sofaFace,
    runDir,
    stateDir: absolute(parsed.stateDir ?? defaults.stateDir),
    servicesDir: absolute(parsed.servicesDir ?? defaults.servicesDir),
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

const collectorFiles = ['headersFile', 'ca', 'cert', 'key'] as const

function locatedCollector<Found extends { [Key in (typeof collectorFiles)[number]]?: string | undefined }>(
  found: Found | undefined,
  absolute: (path: string) => string,
): Found | undefined {
  if (found === undefined) return undefined
  const made = { ...found }
  for (const key of collectorFiles) Object.assign(made, { [key]: located(found[key], absolute) })
  return made
}

function limitsOf(limits: NodeFile['limits']): LimitsSpec {
  const {
    drainTimeout,
    headTimeout,
    keepAliveTimeout,
    halfClosedTimeout,
    bodyIdleTimeout,
    requestTimeout,
    parkTimeout,
    udpIdleTimeout,
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
    udpIdleTimeoutMs: udpIdleTimeout,
  }
}

function located(path: string | undefined, absolute: (path: string) => string): string | undefined {
  return path === undefined ? undefined : absolute(path)
}

export function outboundServiceOf(
  { service, protocol, port, halfClosed }: NodeFile['outbound']['services'][number],
  defaults: AgentConfig['serviceDefaults'],
  otherwise: AgentConfig['outbound']['halfClosed'],
): OutboundService {
  return { service: parseServiceName(service, defaults)!, protocol, port, halfClosed: halfClosed ?? otherwise }
}
