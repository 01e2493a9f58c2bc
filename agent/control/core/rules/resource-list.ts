/**
 * `kind: List` and `kind: VirtualServiceList`, as `kubectl get -o yaml` prints them: its items are resources of their
 * own.
 */
import { problemAt } from './resource-shape.ts'
import { readResource } from './rule-resource.ts'
import type { ReadResource } from './rule-resource.ts'
import type { HostScope } from './rule-host.ts'
import { maxResourcesPerText } from './yaml-documents.ts'
import type { YamlResource } from './yaml-documents.ts'

/** The resource, or those of the list, one by one: whoever has a long list can let others have their turn. */
export function* eachResource(yaml: YamlResource, scope: HostScope): Generator<ReadResource> {
  const { kind, items } = Object(yaml.value) as { kind?: unknown; items?: unknown }
  const isList = typeof kind === 'string' && /^(?:[A-Z][A-Za-z]*)?List$/.test(kind)
  if (!isList || yaml.problems.length > 0) return yield readResource(yaml, scope)
  if (!Array.isArray(items) || items.length > maxResourcesPerText) {
    const message = Array.isArray(items)
      ? `${items.length} items, allowed ${maxResourcesPerText}`
      : 'found no items, allowed a list of resources'
    const problems = [problemAt(yaml, ['items'], message)]
    return yield { line: yaml.line, kind, namespace: '', name: '', id: undefined, problems, resource: undefined }
  }
  for (const [index, item] of items.entries()) yield readResource(itemOf(yaml, item, index), scope)
}

function itemOf(list: YamlResource, item: unknown, index: number): YamlResource {
  const base = ['items', index]
  return {
    value: item,
    problems: [],
    line: list.positionOf(base).line,
    // JSON is YAML, and the item's own lines may be indented or hold aliases
    text: `${JSON.stringify(item)}\n`,
    positionOf: (path) => list.positionOf([...base, ...path]),
    places: () => list.places(),
  }
}
