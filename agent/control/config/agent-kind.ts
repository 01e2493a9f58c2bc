/** The agent of a host, as a kind of node: what it says by itself, and the centers that it falls back to. */
import { isLoopback } from '../../../contracts/ip-literal.ts'
import { tokenFiles } from '../kinds/token-access.ts'
import { namedTlsFiles } from '../kinds/tls-files.ts'
import type { NodeKind } from './node-kind.ts'
import { reportFile } from './readable-file.ts'
import { relaySecretProblem } from './relay-secret.ts'
import type { HostPort } from './scalars.ts'
import { agentFileSchema, type AgentFile } from './schema.ts'

export const agentKind: NodeKind<AgentFile> = {
  role: 'agent',
  command: 'watchdog',
  entry: 'agent/control/main',
  schema: agentFileSchema,
  defaults: {
    runDir: '/run/hostmesh',
    stateDir: '/var/lib/hostmesh',
    servicesDir: 'services.d',
    outboundHttp: { host: '127.0.0.1', port: 15_001 },
  },
  resolve({ center, gateway }, absolute) {
    const secretFile = center.secretFile === undefined ? undefined : absolute(center.secretFile)
    const reports = center.reports === undefined ? undefined : tokenFiles.located(center.reports, absolute)
    return { center: { ...center, secretFile, reports }, relay: undefined, api: undefined, gateway, morePorts: [] }
  },
  conflicts({ center: { secretFile, reports }, gateway }, report) {
    if (gateway !== undefined && Object.keys(gateway.labels).length === 0)
      report(['gateway', 'labels'], 'an empty map, allowed at least one label')
    const reason = secretFile === undefined ? undefined : relaySecretProblem(secretFile)
    if (reason !== undefined) report(['center', 'secretFile'], reason)
    if (reports === undefined) return
    reportFile(report, ['center', 'reports', 'tokenFile'], reports.tokenFile, true)
    for (const { path, file, isSecret } of namedTlsFiles(reports.tls))
      reportFile(report, ['center', 'reports', ...path], file, isSecret)
    if (reports.tls === undefined && reports.tokenFile !== undefined && !reports.servers.every(isOnLoopback))
      report(['center', 'reports', 'tls'], 'missing; the token would be read on the way')
  },
}

function isOnLoopback({ host }: HostPort): boolean {
  return isLoopback(host)
}
