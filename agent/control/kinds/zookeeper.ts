/** Registries of `type: zookeeper`. */
import * as z from 'zod'
import { duration, oneOf, path, plainName, remoteAddress, text } from '../config/scalars.ts'
import type { RegistryKind } from './registry-kind.ts'
import { readSecret } from './secret-file.ts'
import { sectionFiles } from './section-files.ts'
import { oneGroup, oneGroupKeys, onePerServer } from './section-parts.ts'
import { readTls, tlsFiles } from './tls-files.ts'
import type { TlsTexts } from './tls-files.ts'

export const zookeeperSection = z.strictObject({
  name: plainName('a name').describe('Name of this registry in logs, metrics and `services.d`.'),
  type: z.literal('zookeeper').describe('A ZooKeeper ensemble, 3.4 or newer.'),
  servers: z.array(remoteAddress()).min(1).max(64).describe('Client addresses of the members.'),
  layout: oneOf('dubbo', 'dubbo-app', 'sofa', 'curator', 'plain').describe(
    'How services lie in the tree: Dubbo by interface (`dubbo`) or by application (`dubbo-app`), SOFARPC (`sofa`), Curator, or plain JSON.',
  ),
  root: text(1, 512)
    .optional()
    .describe('Node above the services; absent = `/dubbo`, `/sofa-rpc` or `/services`, as the layout has it.'),
  ...oneGroupKeys,
  sessionTimeout: duration('2s', '5m')
    .prefault('20s')
    .describe(
      'An application of a dead host is gone so long after its last sign of life; servers allow 2 to 20 ticks.',
    ),
  digestFile: path().optional().describe('File that holds `user:password` for the digest scheme.'),
  tls: tlsFiles.optional(),
})

type ZooKeeperSection = z.output<typeof zookeeperSection>

const rootPattern = /^(\/[^/\0]+)+$/

export const zookeeperKind: RegistryKind<ZooKeeperSection> = {
  takesRegistrations: () => true,
  ...oneGroup,
  ...sectionFiles(['digestFile']),
  conflicts: ({ root }) =>
    root === undefined || rootPattern.test(root) ? [] : [`root: found "${root}", allowed a node path like /dubbo`],
  parts: onePerServer,
  create: async (section, { endpoints }, deps) => {
    const { createZooKeeperAdapter } = await import('../../../registry-adapters/zookeeper/index.ts')
    const { name, servers, layout, root, namespace, group, sessionTimeout, digestFile, tls } = section
    // a file that cannot be read now is said now; later ones are read with each new connection
    const auth = (): string | undefined => (digestFile === undefined ? undefined : readSecret(digestFile))
    const secure = (): TlsTexts | undefined => readTls(tls)
    auth()
    secure()
    return createZooKeeperAdapter(
      {
        name,
        servers,
        layout,
        ...(root === undefined ? {} : { root }),
        namespace,
        group,
        sessionTimeoutMs: sessionTimeout,
        auth,
        tls: secure,
        maxEndpoints: endpoints.maxPerService,
      },
      deps,
    )
  },
}
