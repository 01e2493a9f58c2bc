/** Registries of `type: consul`. */
import * as z from 'zod'
import { duration, path, plainName, remoteAddress, share, text } from '../config/scalars.ts'
import type { RegistryKind } from './registry-kind.ts'
import { oneGroup, oneGroupKeys, onePerServer } from './section-parts.ts'
import { tlsFiles } from './tls-files.ts'
import { tokenAccess, tokenFiles } from './token-access.ts'

export const consulSection = z.strictObject({
  name: plainName('a name').describe('Name of this registry in logs, metrics and `services.d`.'),
  type: z.literal('consul').describe('Consul, by its HTTP API.'),
  servers: z
    .array(remoteAddress())
    .min(1)
    .max(64)
    .prefault(['127.0.0.1:8500'])
    .describe('HTTP addresses: the Consul agent of this host, which registration wants, or servers.'),
  ...oneGroupKeys,
  datacenter: text(1, 128).optional().describe("Consul's datacenter; absent = that of the Consul agent."),
  consulNamespace: text(1, 128).optional().describe("Consul's own namespace (Enterprise)."),
  tokenFile: path().optional().describe('File that holds the ACL token.'),
  tls: tlsFiles.optional(),
  protectThreshold: share()
    .prefault(0)
    .describe('Below this healthy share instances whose checks fail are used, too; 0 = never.'),
  wait: duration('1s', '10m').prefault('5m').describe('How long a blocking query may wait for a change.'),
})

type ConsulSection = z.output<typeof consulSection>

const pulseMs = 5000

export const consulKind: RegistryKind<ConsulSection> = {
  takesRegistrations: () => true,
  ...oneGroup,
  ...tokenFiles,
  webServers: ({ servers, tls }) => (tls === undefined ? servers : []),
  conflicts: () => [],
  parts: onePerServer,
  create: async (section, { endpoints }, deps) => {
    const { createConsulAdapter } = await import('../../../registry-adapters/consul/index.ts')
    const { name, servers, namespace, group, datacenter, consulNamespace } = section
    const access = tokenAccess(section)
    return createConsulAdapter(
      {
        name,
        servers,
        namespace,
        group,
        datacenter,
        consulNamespace,
        ...access,
        protectThreshold: section.protectThreshold,
        maxEndpoints: endpoints.maxPerService,
        waitMs: section.wait,
        pulseMs,
      },
      deps,
    )
  },
}
