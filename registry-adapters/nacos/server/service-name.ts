/** Service and document names as Nacos clients write them. */
import type { ServiceName } from '../../../contracts/endpoint.ts'
import { defaultGroup, defaultNamespace, maxServicePartLength } from '../../../contracts/endpoint.ts'
import { NacosFault } from './fault.ts'

/** Printable ASCII without space. The `@@` that joins group and name is looked for apart. */
const visible = /^[!-~]+$/

/** `public` for the names that clients give the default namespace. */
export function namespaceOf(text: unknown): string {
  if (text === undefined || text === null || text === '' || text === defaultNamespace) return defaultNamespace
  return part(text, 'namespaceId', 128)
}

/** Reads `name`, or `group@@name`, whose group wins over `group`. */
export function serviceNameOf(namespaceId: unknown, group: unknown, name: unknown): ServiceName {
  if (typeof name !== 'string' || name === '') {
    throw new NacosFault('parameter-missing', "Param 'serviceName' is required.")
  }
  const at = name.indexOf('@@')
  const ownGroup =
    at < 0 ? (group === undefined || group === null || group === '' ? defaultGroup : group) : name.slice(0, at)
  return {
    namespace: namespaceOf(namespaceId),
    group: part(ownGroup, 'groupName', 128),
    name: part(at < 0 ? name : name.slice(at + 2), 'serviceName', maxServicePartLength),
  }
}

function part(value: unknown, field: string, maxLength: number): string {
  if (typeof value !== 'string' || value === '') {
    throw new NacosFault('parameter-missing', `Param '${field}' is required.`)
  }
  if (value.length > maxLength) {
    throw new NacosFault(
      'parameter-invalid',
      `Param '${field}' is illegal, the param length should not exceed ${maxLength}.`,
    )
  }
  if (!visible.test(value) || value.includes('@@')) {
    throw new NacosFault(
      'parameter-invalid',
      `Param '${field}' is illegal, illegal characters should not appear in the param.`,
    )
  }
  return value
}

/** `group@@name`, the form in answers. */
export function groupedName(service: ServiceName): string {
  return `${service.group}@@${service.name}`
}
