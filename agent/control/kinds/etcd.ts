/** Registries of `type: etcd`. */
import * as z from 'zod'
import { duration, path, plainName, remoteAddress, text } from '../config/scalars.ts'
import type { RegistryKind } from './registry-kind.ts'
import { readSecret } from './secret-file.ts'
import { sectionFiles } from './section-files.ts'
import { oneGroup, oneGroupKeys, onePerServer } from './section-parts.ts'
import { readTls, tlsFiles } from './tls-files.ts'
import type { TlsTexts } from './tls-files.ts'

export const etcdSection = z.strictObject({
  name: plainName('a name').describe('Name of this registry in logs, metrics and `services.d`.'),
  type: z.literal('etcd').describe('An etcd cluster, 3.4 or newer, by its JSON gateway.'),
  servers: z.array(remoteAddress()).min(1).max(64).describe('Client addresses of the members.'),
  prefix: text(2, 512).prefault('/services').describe('Instances are `PREFIX/NAME/IP:PORT`, as JSON.'),
  ...oneGroupKeys,
  usernameFile: path().optional().describe('File that holds the user name.'),
  passwordFile: path().optional().describe('File that holds the password.'),
  lease: duration('3s', '10m')
    .prefault('20s')
    .describe('An application of a dead host is gone so long after its last sign of life.'),
  tls: tlsFiles.optional(),
})

type EtcdSection = z.output<typeof etcdSection>

const pulseMs = 5000
const prefixPattern = /^(\/[^/\0]+)+$/

export const etcdKind: RegistryKind<EtcdSection> = {
  takesRegistrations: () => true,
  ...oneGroup,
  ...sectionFiles(['usernameFile', 'passwordFile']),
  conflicts: ({ prefix, usernameFile, passwordFile }) => [
    ...(prefixPattern.test(prefix) ? [] : [`prefix: found "${prefix}", allowed a path like /services`]),
    ...((usernameFile === undefined) === (passwordFile === undefined)
      ? []
      : ['usernameFile and passwordFile belong together, one is missing']),
  ],
  parts: onePerServer,
  create: async (section, { endpoints }, deps) => {
    const { createEtcdAdapter } = await import('../../../registry-adapters/etcd/index.ts')
    const { name, servers, prefix, namespace, group, usernameFile, passwordFile, lease, tls } = section
    const credentials = (): { name: string; password: string } | undefined =>
      usernameFile === undefined || passwordFile === undefined
        ? undefined
        : { name: readSecret(usernameFile), password: readSecret(passwordFile) }
    const secure = (): TlsTexts | undefined => readTls(tls)
    credentials()
    secure()
    return createEtcdAdapter(
      {
        name,
        servers,
        prefix,
        namespace,
        group,
        credentials,
        tls: secure,
        leaseMs: lease,
        maxEndpoints: endpoints.maxPerService,
        pulseMs,
      },
      deps,
    )
  },
}
