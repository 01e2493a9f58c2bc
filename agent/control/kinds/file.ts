/** Registries of `type: file`. */
import * as z from 'zod'
import { path, plainName } from '../config/scalars.ts'
import type { RegistryKind } from './registry-kind.ts'

export const fileSection = z.strictObject({
  name: plainName('a name').describe('Name of this registry in logs, metrics and `services.d`.'),
  type: z.literal('file').describe('A directory of endpoint files, watched.'),
  directory: path().describe(
    'The directory with one YAML or JSON file per service: `service` (`orders`, `GROUP@@orders`) and `endpoints`, a list of `{ address, port, weight, version, zone, metadata }`.',
  ),
})

export const fileKind: RegistryKind<z.output<typeof fileSection>> = {
  takesRegistrations: () => false,
  naming: () => undefined,
  rulesGroup: () => undefined,
  files: () => [],
  conflicts: () => [],
  located: (section, absolute) => ({ ...section, directory: absolute(section.directory) }),
  parts: (section) => [{ label: section.directory, section }],
  create: async ({ name, directory }, { endpoints }, deps) => {
    const { createFileAdapter } = await import('../../../registry-adapters/file/index.ts')
    return createFileAdapter({ name, directory, allowLoopback: endpoints.allowLoopbackEndpoints }, deps)
  },
}
