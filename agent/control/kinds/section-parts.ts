/** What sections of several kinds have alike. */
import { formatHostPort, text } from '../config/scalars.ts'

/** Keys of registries that know names only. */
export const oneGroupKeys = {
  namespace: text(1, 128).prefault('public').describe('Namespace that its services have here.'),
  group: text(1, 128).prefault('DEFAULT_GROUP').describe('Group that its services have here.'),
}

/** What kinds with these keys answer alike: they keep no rules. */
export const oneGroup = {
  naming: ({ namespace, group }: { namespace: string; group: string }) => ({
    namespace,
    group,
    cluster: '',
    groups: [group],
  }),
  rulesGroup: () => undefined,
}

interface SectionWithServers {
  readonly servers: readonly Parameters<typeof formatHostPort>[0][]
}

/** The section once per server. */
export function onePerServer<Section extends SectionWithServers>(
  section: Section,
): { readonly label: string; readonly section: Section }[] {
  return section.servers.map((server) => ({
    label: formatHostPort(server),
    section: { ...section, servers: [server] },
  }))
}
