/** Registries of `type: center`. */
import * as z from 'zod'
import { path, plainName, remoteAddress, text } from '../config/scalars.ts'
import type { RegistryKind } from './registry-kind.ts'
import { oneGroup, oneGroupKeys, onePerServer } from './section-parts.ts'
import { tlsFiles } from './tls-files.ts'
import { tokenAccess, tokenFiles, tokenInPlain } from './token-access.ts'

export const centerSection = z.strictObject({
  name: plainName('a name').describe('Name of this registry in logs and metrics.'),
  type: z.literal('center').describe('Global mesh centers: what their registries know, and the rules that they keep.'),
  servers: z.array(remoteAddress()).min(1).max(64).describe('Their `xds.address`, tried from a random one on.'),
  namespace: oneGroupKeys.namespace.describe('What a service that is written without a namespace gets.'),
  group: oneGroupKeys.group.describe('What a service that is written without a group gets.'),
  tokenFile: path().optional().describe('File that holds a token of `xds.tokensFile` there.'),
  tls: tlsFiles.optional(),
  node: text(1, 128)
    .optional()
    .describe('Who asks, in the log of the center; absent = `host.name`, by which roll-outs of rules know this host.'),
})

type CenterSection = z.output<typeof centerSection>

export const centerKind: RegistryKind<CenterSection> = {
  isCenter: true,
  takesRegistrations: () => false,
  ...oneGroup,
  ...tokenFiles,
  conflicts: tokenInPlain,
  parts: onePerServer,
  create: async (section, { endpoints, hostName }, deps) => {
    const { createCenterAdapter } = await import('../../../registry-adapters/center/index.ts')
    const { name, servers, node } = section
    const access = tokenAccess(section)
    return createCenterAdapter(
      { name, servers, node: node ?? hostName, ...access, maxEndpoints: endpoints.maxPerService },
      deps,
    )
  },
}
