/** Registries of `type: xds`. */
import * as z from 'zod'
import { path, plainName, remoteAddress, text } from '../config/scalars.ts'
import type { RegistryKind } from './registry-kind.ts'
import { oneGroup, oneGroupKeys, onePerServer } from './section-parts.ts'
import { tlsFiles } from './tls-files.ts'
import { tokenAccess, tokenFiles, tokenInPlain } from './token-access.ts'

export const xdsSection = z.strictObject({
  name: plainName('a name').describe('Name of this registry in logs, metrics and sources of rules.'),
  type: z.literal('xds').describe('A control plane for Envoys: clusters, endpoints and routes by xDS (ADS).'),
  servers: z.array(remoteAddress()).min(1).max(64).describe('Its addresses, tried from a random one on.'),
  ...oneGroupKeys,
  node: text(1, 512).optional().describe('`node.id`, by which it knows for whom it speaks; absent = `host.name`.'),
  cluster: text(1, 512).prefault('hostmesh').describe('`node.cluster`.'),
  tokenFile: path().optional().describe('File that holds a token, sent as `authorization: Bearer`.'),
  tls: tlsFiles.optional(),
})

type XdsSection = z.output<typeof xdsSection>

export const xdsKind: RegistryKind<XdsSection> = {
  takesRegistrations: () => false,
  ...oneGroup,
  ...tokenFiles,
  conflicts: tokenInPlain,
  parts: onePerServer,
  create: async (section, { endpoints, hostName }, deps) => {
    const { createXdsAdapter } = await import('../../../registry-adapters/xds/index.ts')
    const { cluster, group, name, namespace, node, servers } = section
    const access = tokenAccess(section)
    return createXdsAdapter(
      {
        name,
        servers,
        namespace,
        group,
        node: node ?? hostName,
        cluster,
        ...access,
        maxEndpoints: endpoints.maxPerService,
      },
      deps,
    )
  },
}
