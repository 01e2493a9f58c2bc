/**
 * Dubbo at the level of interfaces (`/dubbo/INTERFACE/providers/URL`) and SOFARPC
 * (`/sofa-rpc/INTERFACE/providers/URL`): the name of an ephemeral node is the whole provider. Both names are
 * percent-encoded.
 *
 * A service is `INTERFACE`, or `INTERFACE:VERSION` or `INTERFACE:VERSION:GROUP` for the providers of that version and
 * group only; SOFARPC's unique id takes the place of the version. Sources: ZookeeperRegistry of Apache Dubbo 3.3;
 * ZookeeperRegistryHelper of sofa-rpc 5.
 */
import { endpointAt, metadataKeys } from '../../../contracts/endpoint.ts'
import type { Endpoint } from '../../../contracts/endpoint.ts'
import type { Registration } from '../../../contracts/registry-adapter.ts'
import { boundedMetadata, decodedName, frameworkWeight, localityOf } from './layout.ts'
import type { InstanceNode, Layout } from './layout.ts'
import { readProviderUrl, writeProviderUrl } from './provider-url.ts'

/** What the two frameworks do differently. */
export interface InterfaceDialect {
  /** Protocol of providers that we announce and that name none. */
  readonly protocol: string
  /** Parameter that tells providers of one interface apart. */
  readonly versionParameter: string
  /** Name of the node of an interface. */
  nodeName(name: string): string
  /** Parameters that every provider of ours carries. */
  fixed(name: InterfaceName): Iterable<readonly [string, string]>
}

export interface InterfaceName {
  readonly name: string
  readonly version: string | undefined
  readonly group: string | undefined
}

export const dubboDialect: InterfaceDialect = {
  protocol: 'dubbo',
  versionParameter: 'version',
  nodeName: encodeURIComponent,
  fixed: ({ name }) => [
    ['interface', name],
    ['side', 'provider'],
    ['category', 'providers'],
    ['dynamic', 'true'],
    ['anyhost', 'true'],
  ],
}

export const sofaDialect: InterfaceDialect = {
  protocol: 'bolt',
  versionParameter: 'uniqueId',
  // as it stands, the `$` of a nested interface included
  nodeName: (name) => name,
  fixed: () => [
    // consumers without a unique id compare theirs, the empty one, with what stands here: none is another one
    ['uniqueId', ''],
    ['rpcVer', '50600'],
  ],
}

const protocolPattern = /^[a-z][a-z0-9+.-]{0,63}$/
/**
 * Parameter for the mesh's own version of an announced application: the framework's `version` is a part of the
 * interface's name.
 */
const meshVersionParameter = 'hostmesh.version'
/** Metadata key under which the framework's protocol of an announced application stands. */
const protocolKey = 'protocol'

export class InterfaceLayout implements Layout {
  readonly readsData = false
  readonly root: string
  private readonly dialect: InterfaceDialect

  constructor(root: string, dialect: InterfaceDialect) {
    this.root = root
    this.dialect = dialect
  }

  directoryOf(service: string): string {
    return `${this.root}/${this.dialect.nodeName(split(service).name)}/providers`
  }

  nameOf(child: string): string {
    return decodedName(child)
  }

  read(service: string, child: string): Endpoint | 'other' | undefined {
    const url = readProviderUrl(child)
    if (url === undefined) return child.startsWith('empty%3A') ? 'other' : undefined
    const { parameters } = url
    const wanted = split(service)
    const version = parameters.get(this.dialect.versionParameter) ?? ''
    const group = parameters.get('group') ?? ''
    if (wanted.version !== undefined && wanted.version !== version) return 'other'
    if (wanted.group !== undefined && wanted.group !== group) return 'other'
    const weight = Number(parameters.get('weight') ?? frameworkWeight) / frameworkWeight
    if (!(weight >= 0 && weight <= 10_000)) return undefined
    const metadata = boundedMetadata([...parameters].filter(([key]) => key !== 'weight'))
    metadata[protocolKey] ??= url.protocol
    const ownVersion = metadata[meshVersionParameter]
    if (ownVersion !== undefined) {
      delete metadata[meshVersionParameter]
      metadata[metadataKeys.version] = ownVersion
    }
    return endpointAt(url.address, url.port, {
      weight,
      enabled: parameters.get('disabled') !== 'true' && parameters.get('enabled') !== 'false',
      version: metadata[metadataKeys.version] ?? '',
      locality: localityOf(metadata),
      metadata,
    })
  }

  nodeOf(registration: Registration): InstanceNode {
    const { service, address, port, weight } = registration
    const name = split(service.name)
    const { [protocolKey]: protocol = this.dialect.protocol, version = '', ...metadata } = registration.metadata
    const parameters = new Map<string, string>([...this.dialect.fixed(name), ...Object.entries(metadata)])
    if (version !== '') parameters.set(meshVersionParameter, version)
    if (name.version !== undefined) parameters.set(this.dialect.versionParameter, name.version)
    if (name.group !== undefined) parameters.set('group', name.group)
    parameters.set('weight', String(Math.round(weight * frameworkWeight)))
    const url = {
      protocol: protocolPattern.test(protocol) ? protocol : this.dialect.protocol,
      address,
      port,
      path: name.name,
      parameters: new Map([...parameters].sort(([left], [right]) => (left < right ? -1 : 1))),
    }
    return { path: `${this.directoryOf(service.name)}/${writeProviderUrl(url)}`, data: Buffer.from(address) }
  }
}

/** Also in Nacos's form of the same name, `providers:INTERFACE:VERSION:GROUP`. */
function split(service: string): InterfaceName {
  const parts = service.split(':')
  if (parts[0] === 'providers') parts.shift()
  const [name, version, group] = parts
  return { name: name ?? '', version: version === '' ? undefined : version, group: group === '' ? undefined : group }
}
