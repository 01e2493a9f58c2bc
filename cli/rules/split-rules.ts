/**
 * Sorts the resources of rule files into the documents of a registry's configuration store: one for the mesh, one per
 * service.
 */
import { isMap, isSeq, parseAllDocuments } from 'yaml'
import { parseHostName, placeOf, type HostScope } from '../../agent/control/core/rules/rule-host.ts'
import { parseServiceName } from '../../contracts/endpoint.ts'
import { meshRulesId, serviceRulesId } from '../../contracts/rule-documents.ts'

export interface RuleFile {
  readonly name: string
  readonly text: string
}

/**
 * Text per data id, resources in the order given, as they were written. A resource about exactly one service of
 * `namespace` goes to that service's document, everything else (several hosts, wildcards, ServiceEntries) to the
 * mesh's. Files must have been checked: what has no readable host goes to the mesh's document too.
 */
export function splitRules(files: readonly RuleFile[], scope: HostScope): Map<string, string> {
  const parts = new Map<string, string[]>()
  for (const file of files) {
    for (const document of parseAllDocuments(file.text)) {
      if (document.contents === null) continue
      const dataId = dataIdOf(document.toJS() as Resource, scope)
      const text = file.text
        .slice(document.range[0], document.range[1])
        .replace(/^\s*---\s*\n/, '')
        .trim()
      const list = parts.get(dataId) ?? []
      list.push(isMap(document.contents) || isSeq(document.contents) ? text : String(document))
      parts.set(dataId, list)
    }
  }
  return new Map([...parts].map(([dataId, texts]) => [dataId, `${texts.join('\n---\n')}\n`]))
}

interface Resource {
  readonly kind?: unknown
  readonly metadata?: { readonly namespace?: unknown }
  readonly spec?: { readonly host?: unknown; readonly hosts?: unknown }
}

function dataIdOf(resource: Resource, scope: HostScope): string {
  if (resource.kind === 'ServiceEntry') return meshRulesId
  const { host, hosts } = resource.spec ?? {}
  const names = Array.isArray(hosts) ? hosts : [host]
  const [name] = names
  if (names.length !== 1 || typeof name !== 'string' || name.startsWith('*')) return meshRulesId
  const namespace = typeof resource.metadata?.namespace === 'string' ? resource.metadata.namespace : ''
  const key = parseHostName(name, placeOf(namespace, scope), scope)
  const service = key === undefined ? undefined : parseServiceName(key)
  return service === undefined || service.namespace !== scope.namespace ? meshRulesId : serviceRulesId(service)
}
