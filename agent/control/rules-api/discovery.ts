/** The documents by which a client of Kubernetes finds out what is served. */
import type { ApiSection } from './api-section.ts'
import { apiGroups, apiKinds } from './api-kinds.ts'

const verbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']

/** A namespace is there for whoever writes rules in it; nobody makes it. */
export function namespaceDocument(name: string): object {
  return { kind: 'Namespace', apiVersion: 'v1', metadata: { name }, status: { phase: 'Active' } }
}

function groupDocument(group: string): object {
  const versions = apiGroups.get(group)!.map((version) => ({ groupVersion: `${group}/${version}`, version }))
  return { name: group, versions, preferredVersion: versions[0] }
}

/** undefined: no such document. `path` without a slash at its end. */
export function discoveryDocument(
  path: string,
  productVersion: string,
  sections: readonly Pick<ApiSection, 'resources'>[],
): object | undefined {
  const parts = path.split('/').slice(1)
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  if (path === '/api/v1')
    return {
      kind: 'APIResourceList',
      groupVersion: 'v1',
      resources: [
        {
          name: 'namespaces',
          singularName: 'namespace',
          shortNames: ['ns'],
          namespaced: false,
          kind: 'Namespace',
          verbs: ['get', 'list'],
        },
      ],
    }
  if (path === '/apis')
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: [...apiGroups.keys()].map(groupDocument) }
  if (path === '/version') {
    const [major = '0', minor = '0'] = productVersion.split('.')
    return { major, minor, gitVersion: `v${productVersion}`, platform: 'linux' }
  }
  if (parts[0] !== 'apis' || parts[1] === undefined || !apiGroups.has(parts[1])) return undefined
  const [, group, version] = parts
  if (parts.length === 2) return { kind: 'APIGroup', apiVersion: 'v1', ...groupDocument(group) }
  if (parts.length !== 3 || !apiGroups.get(group)!.includes(version!)) return undefined
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: `${group}/${version}`,
    resources: [
      ...apiKinds
        .filter((one) => one.group === group && one.versions.includes(version!))
        .map((one) => ({
          name: one.plural,
          singularName: one.singular,
          shortNames: one.shortNames,
          namespaced: true,
          kind: one.kind,
          verbs,
          categories: ['hostmesh'],
        })),
      ...sections
        .flatMap(({ resources }) => resources)
        .filter((one) => one.group === group && one.version === version)
        .map(({ group: _group, version: _version, ...resource }) => resource),
    ],
  }
}
