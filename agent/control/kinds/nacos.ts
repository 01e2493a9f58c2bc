/** Registries of `type: nacos`. */
import * as z from 'zod'
import type { NacosAdapterConfig, NacosCredentials } from '../../../registry-adapters/nacos/index.ts'
import { formatHostPort, integer, oneOf, path, plainName, remoteAddress, text } from '../config/scalars.ts'
import type { RegistryKind } from './registry-kind.ts'
import { renewedSecret } from './renewed-secret.ts'
import { readSecret } from './secret-file.ts'
import { sectionFiles } from './section-files.ts'
import { onePerServer } from './section-parts.ts'
import { readTls, tlsFiles } from './tls-files.ts'

/** Nacos's word for "in no cluster in particular". */
const noCluster = 'DEFAULT'

export const nacosSection = z.strictObject({
  name: plainName('a name').describe('Name of this registry in logs, metrics and `services.d`.'),
  type: z.literal('nacos').describe('A Nacos server or cluster, 1.x to 3.x.'),
  servers: z.array(remoteAddress()).min(1).max(64).describe('HTTP addresses of the servers.'),
  namespace: text(1, 128).prefault('public').describe('Namespace id.'),
  group: text(1, 128).prefault('DEFAULT_GROUP').describe('Group of services that are written without one.'),
  cluster: text(1, 64).prefault(noCluster).describe('Nacos cluster in which local applications are registered.'),
  usernameFile: path().optional().describe('File that holds the user name.'),
  passwordFile: path().optional().describe('File that holds the password.'),
  accessKeyFile: path().optional().describe('File that holds the access key.'),
  secretKeyFile: path().optional().describe('File that holds the secret key.'),
  tls: tlsFiles.optional(),
  grpcPortOffset: integer(1, 60_000).prefault(1000).describe('gRPC port minus HTTP port (Nacos: 1000).'),
  api: oneOf('auto', 'v1', 'v2', 'v3')
    .prefault('auto')
    .describe('HTTP API for registration; `auto` asks the server what it offers.'),
  rulesGroup: text(1, 128)
    .optional()
    .describe('Group of Nacos config that holds rules; absent = rules from files only.'),
})

type NacosSection = z.output<typeof nacosSection>

const secretFiles = ['usernameFile', 'passwordFile', 'accessKeyFile', 'secretKeyFile'] as const

export const nacosKind: RegistryKind<NacosSection> = {
  takesRegistrations: () => true,
  naming: ({ namespace, group, cluster }) => ({
    namespace,
    group,
    cluster,
    // a cluster is a place: who says no other calls its own cluster first
    ...(cluster === noCluster ? {} : { zone: cluster }),
  }),
  webServers: ({ servers, tls }) => (tls === undefined ? servers : []),
  rulesGroup: (section) => section.rulesGroup,
  ...sectionFiles(secretFiles),
  conflicts: (section) => {
    const found: string[] = []
    if ((section.usernameFile === undefined) !== (section.passwordFile === undefined))
      found.push('usernameFile and passwordFile belong together, one is missing')
    if ((section.accessKeyFile === undefined) !== (section.secretKeyFile === undefined))
      found.push('accessKeyFile and secretKeyFile belong together, one is missing')
    return found
  },
  parts: onePerServer,
  create: async (section, { endpoints, hostAddress, isOwnPort }, deps) => {
    const { createNacosAdapter } = await import('../../../registry-adapters/nacos/index.ts')
    const credentials = credentialsOf(section)
    const files = secretFiles.flatMap((key) => section[key] ?? [])
    const adapterConfig: NacosAdapterConfig = {
      name: section.name,
      servers: section.servers.map(formatHostPort),
      namespace: section.namespace,
      groups: [section.group],
      grpcPortOffset: section.grpcPortOffset,
      credentials,
      renewedCredentials: renewedSecret(files, credentials, () => credentialsOf(section), deps),
      ...(section.tls === undefined ? {} : { tls: readTls(section.tls) }),
      api: section.api,
      endpoints: {
        allowLoopback: endpoints.allowLoopbackEndpoints,
        allowLinkLocal: false,
        isOwnPort,
        maxEndpoints: endpoints.maxPerService,
      },
      hostAddress,
    }
    return createNacosAdapter(adapterConfig, deps)
  },
}

function credentialsOf(section: NacosSection): NacosCredentials {
  const { usernameFile, passwordFile, accessKeyFile, secretKeyFile } = section
  if (usernameFile !== undefined && passwordFile !== undefined)
    return { kind: 'password', username: readSecret(usernameFile), password: readSecret(passwordFile) }
  if (accessKeyFile !== undefined && secretKeyFile !== undefined)
    return { kind: 'access-key', accessKey: readSecret(accessKeyFile), secretKey: readSecret(secretKeyFile) }
  return { kind: 'none' }
}
