/** Whether the registry of an application can take it. */
import { serviceKey } from '../../../contracts/endpoint.ts'
import { kindOf } from '../kinds/registries.ts'
import type { AgentConfig, ApplicationConfig } from './types.ts'

/** Undefined = it can, or there is none that takes any. */
export function announcementProblem(
  { registry, service }: Pick<ApplicationConfig, 'registry' | 'service'>,
  registries: AgentConfig['registries'],
): { readonly path: string[]; readonly message: string } | undefined {
  const takers = registries.filter((one) => kindOf(one).takesRegistrations(one))
  const section = registry === undefined ? takers[0] : registries.find(({ name }) => name === registry)
  if (section === undefined) return undefined
  if (!takers.includes(section)) {
    const others = takers.map(({ name }) => name).join(', ') || 'none: no registry takes applications'
    const message = `found "${section.name}", which is only read, allowed ${others}; it is not announced`
    return { path: ['registry'], message }
  }
  const { groups, namespace } = kindOf(section).naming(section) ?? {}
  if (groups === undefined || (service.namespace === namespace && groups.includes(service.group))) return undefined
  const places = groups.map((group) => `${namespace}/${group}`).join(', ')
  return {
    path: ['service'],
    message: `${serviceKey(service)}: registry ${section.name} has ${places} alone; it is not announced`,
  }
}
