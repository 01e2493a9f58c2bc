/**
 * What no single field can tell: the same port twice, ranges that overlap, two applications that claim the same place.
 */
import { serviceKey } from '../../../contracts/endpoint.ts'
import { isLoopbackNetwork } from '../../../contracts/fallback-addresses.ts'
import { tunnelProblems } from './tunnel-problems.ts'
import { isLoopback } from '../../../contracts/ip-literal.ts'
import { accountOf } from '../host/identities/account.ts'
import { ownPort } from '../host/applications/place.ts'
import { grantProblems, nacosFaceProblems } from '../kinds/nacos-face.ts'
import { kindOf } from '../kinds/registries.ts'
import { sofaFaceProblems } from '../kinds/sofa-face.ts'
import { collectorConflicts } from './collector-conflicts.ts'
import { filterConflicts } from './filter-conflicts.ts'
import { firstEphemeralPort, type KernelPorts } from './kernel-ports.ts'
import { nearest } from './nearest.ts'
import { announcementProblem } from './announcement-problem.ts'
import { protocolProblem, rpcConflicts } from './protocol-problem.ts'
import { ownAddresses } from './own-addresses.ts'
import type { NodeKind } from './node-kind.ts'
import { reportFile } from './readable-file.ts'
import { formatPath, type ConfigProblem } from './problem.ts'
import { formatHostPort, type PortRange } from './scalars.ts'
import { socketConflicts } from './socket-conflicts.ts'
import type { AgentConfig, ApplicationConfig } from './types.ts'
import type { YamlFile } from './yaml-file.ts'

export type { KernelPorts } from './kernel-ports.ts'

interface Claim {
  readonly host: string
  readonly port: number
  readonly path: readonly PropertyKey[]
}

export function configConflicts<Config extends AgentConfig>(
  { conflicts }: Pick<NodeKind<never, Config>, 'conflicts'>,
  config: Config,
  yaml: YamlFile,
  kernel: KernelPorts,
): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const report = (
    path: readonly PropertyKey[],
    message: string,
    severity: ConfigProblem['severity'] = 'error',
    closest?: string,
  ): void => {
    const { line, column } = yaml.positionOf(path)
    problems.push({
      severity,
      file: yaml.file,
      line,
      column,
      path: formatPath(path),
      message,
      nearest: closest,
    })
  }

  socketConflicts(config, report)
  const claims = claimsOf(config)
  for (const [index, claim] of claims.entries()) {
    const other = claims.slice(0, index).find((earlier) => overlaps(earlier, claim))
    if (other !== undefined)
      report(claim.path, `${formatHostPort(claim)} is taken by ${formatPath(other.path)}; each listener needs its own`)
  }
  const ranges: { range: PortRange; host: string; path: readonly PropertyKey[] }[] = [
    { range: config.outbound.portRange, host: config.outbound.address, path: ['outbound', 'portRange'] },
    { range: config.inbound.portRange, host: config.inbound.address, path: ['inbound', 'portRange'] },
  ]
  for (const { range, host, path } of ranges) {
    for (const claim of claims) {
      if (claim.path[0] === 'outbound' && claim.path[1] === 'services') continue
      if (sameHost(claim.host, host) && claim.port >= range.first && claim.port <= range.last)
        report(path, `the range holds port ${claim.port} of ${formatPath(claim.path)}; move one of them`)
    }
    const clash = firstEphemeralPort(range, kernel)
    if (clash !== undefined) {
      const { first, last } = kernel.ephemeral!
      report(
        path,
        `port ${clash} lies in the kernel's ephemeral range ${first}-${last}, so it can be taken by an outgoing connection at any time; ` +
          `choose another range or reserve it: sysctl net.ipv4.ip_local_reserved_ports=${range.first}-${range.last}`,
        'warning',
      )
    }
  }
  const [outbound, inbound] = [config.outbound.portRange, config.inbound.portRange]
  if (
    sameHost(config.outbound.address, config.inbound.address) &&
    outbound.first <= inbound.last &&
    inbound.first <= outbound.last
  )
    report(['inbound', 'portRange'], 'overlaps outbound.portRange; each needs its own ports')

  const names = new Map<string, number>()
  for (const [index, registry] of config.registries.entries()) {
    const earlier = names.get(registry.name)
    if (earlier !== undefined)
      report(['registries', index, 'name'], `"${registry.name}" is already the name of registries[${earlier}]`)
    names.set(registry.name, index)
    const kind = kindOf(registry)
    for (const message of kind.conflicts(registry)) report(['registries', index], message)
    for (const { path, file, isSecret } of kind.files(registry))
      reportFile(report, ['registries', index, ...path], file, isSecret)
  }

  for (const [index, identity] of config.tls.identities.entries())
    for (const [key, file] of Object.entries(identity))
      reportFile(report, ['tls', 'identities', index, key], file, key === 'key')

  if (config.identity.workloadApi !== undefined && config.identity.authorities.length > 0)
    report(
      ['identity', 'workloadApi'],
      'found beside identity.authorities, allowed one of them: certificates have one source',
    )

  for (const section of ['tracing', 'accessLog'] as const) {
    const { collector } = config[section]
    if (collector !== undefined) collectorConflicts([section, 'collector'], collector, report)
  }

  for (const [index, network] of config.fallbackNetworks.entries()) {
    if (!isLoopbackNetwork(network)) continue
    const what = `${network} lets every local caller reach what listens on loopback here, as the agent's own user`
    report(['fallbackNetworks', index], what, 'warning')
  }

  filterConflicts(config.filters, report)

  rpcConflicts(config.rpcProtocols, config.outbound, report)

  const services = new Map<string, number>()
  for (const [index, service] of config.outbound.services.entries()) {
    const key = serviceKey(service.service)
    const earlier = services.get(key)
    if (earlier !== undefined)
      report(['outbound', 'services', index, 'service'], `${key} is already outbound.services[${earlier}]`)
    services.set(key, index)
  }

  conflicts(config, report)
  for (const { message, path } of tunnelProblems(config.outbound)) report(path, message)
  if (config.admin.address !== 'off' && !isLoopback(config.admin.address.host))
    report(['admin', 'address'], `${config.admin.address.host} is no loopback address; admin may change the agent`)
  // both faces go by them
  if (config.nacosFace.enabled || config.sofaFace.enabled) {
    for (const { at, message } of grantProblems(config.nacosFace)) report(['nacosFace', 'grants', at], message)
    for (const [at, { passwordFile }] of config.nacosFace.grants.entries())
      reportFile(report, ['nacosFace', 'grants', at, 'passwordFile'], passwordFile, true)
  }
  for (const { path, message, closest } of nacosFaceProblems(config.nacosFace, config.registries))
    report(['nacosFace', ...path], message, 'error', closest)
  for (const { key, message } of sofaFaceProblems(config.sofaFace, config.registries, config.outbound.rpc))
    report(['sofaFace', key], message)
  if (config.watchdog.probeTimeout < config.watchdog.probeInterval / 100)
    report(['watchdog', 'probeTimeout'], 'is far below probeInterval; a busy worker would be taken for dead', 'warning')
  return problems
}

/** Conflicts between the files of `services.d`: the later file by name loses and is left out. */
export function applicationConflicts(
  config: AgentConfig,
  applications: readonly ApplicationConfig[],
  positions: ReadonlyMap<string, YamlFile>,
): { applications: ApplicationConfig[]; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = []
  const kept: ApplicationConfig[] = []
  const registries = config.registries.map((registry) => registry.name)
  for (const application of applications) {
    const complaints: { path: string[]; message: string; nearest?: string | undefined }[] = []
    const identity = (one: ApplicationConfig): string => `${serviceKey(one.service)} ${one.address}:${one.port}`
    const twin = kept.find((other) => identity(other) === identity(application))
    if (twin !== undefined)
      complaints.push({
        path: ['service'],
        message: `the same service and port as ${twin.file}; this file is not used`,
      })
    const pinned =
      application.inboundPort === undefined
        ? undefined
        : kept.find((other) => other.inboundPort === application.inboundPort)
    if (pinned !== undefined)
      complaints.push({
        path: ['inboundPort'],
        message: `${application.inboundPort} is taken by ${pinned.file}; this file is not used`,
      })
    const protocol = protocolProblem(application.protocol, config.rpcProtocols)
    if (protocol !== undefined) {
      complaints.push({ path: ['protocol'], message: protocol.message, nearest: protocol.closest })
    }
    if (application.registry !== undefined && !registries.includes(application.registry))
      complaints.push({
        path: ['registry'],
        message: `found "${application.registry}", allowed ${registries.join(', ') || 'none: no registry is configured'}`,
        nearest: nearest(application.registry, registries),
      })
    const kinds = (['tcp', 'http', 'grpc', 'off'] as const).filter((kind) => {
      const value = application.check[kind]
      return value !== undefined && value !== false
    })
    if (kinds.length > 1)
      complaints.push({
        path: ['check'],
        message: `found ${kinds.join(' and ')}, allowed one kind; this file is not used`,
      })
    if (
      application.version !== undefined &&
      (application.metadata['version'] ?? application.version) !== application.version
    )
      complaints.push({ path: ['version'], message: 'differs from metadata.version; this file is not used' })
    const reserved = Object.keys(application.metadata).find((key) => key.startsWith('hostmesh.'))
    if (reserved !== undefined)
      complaints.push({ path: ['metadata', reserved], message: 'names with hostmesh. are set by the agent itself' })
    const hasSource = config.identity.workloadApi !== undefined || config.identity.authorities.length > 0
    if (hasSource && accountOf(application, config.identity.namespace) === undefined)
      complaints.push({
        path: ['identity', 'account'],
        message: `missing; "${application.service.name}" cannot stand in a certificate, write an account down`,
      })
    const own = ownPort(config, application.address, application.port)
    if (own !== undefined)
      complaints.push({
        path: ['port'],
        message: `${application.address}:${application.port} is a port of the agent itself (${own}); this file is not used`,
      })
    if (complaints.length === 0) {
      kept.push(application)
      // it is served all the same: others may know its port by other ways
      const problem = announcementProblem(application, config.registries)
      if (problem !== undefined) complaints.push(problem)
    }
    for (const complaint of complaints) {
      const { line, column } = positions.get(application.file)?.positionOf(complaint.path) ?? { line: 0, column: 0 }
      problems.push({
        severity: 'error',
        file: application.file,
        line,
        column,
        path: formatPath(complaint.path),
        message: complaint.message,
        nearest: complaint.nearest,
      })
    }
  }
  return { applications: kept, problems }
}

function claimsOf(config: AgentConfig): Claim[] {
  const services = config.outbound.services.flatMap(({ port }, index): Claim[] =>
    port === undefined ? [] : [{ host: config.outbound.address, port, path: ['outbound', 'services', index, 'port'] }],
  )
  return [...services, ...ownAddresses(config)]
}

function overlaps(a: Claim, b: Claim): boolean {
  return a.port === b.port && sameHost(a.host, b.host)
}

function sameHost(a: string, b: string): boolean {
  return a === b || isAny(a) || isAny(b)
}

function isAny(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}
