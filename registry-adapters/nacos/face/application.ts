/** From Nacos's instance to the mesh's application. */
import { isIP } from 'node:net'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import { endpointId, metadataKeys, parseServiceName, serviceKey } from '../../../contracts/endpoint.ts'
import { protocolOfWord } from '../../../contracts/protocols.ts'
import type { FaceApplication } from './face-deps.ts'
import { NacosFault } from '../server/fault.ts'
import type { NacosInstance } from '../server/instance.ts'
import { defaultCluster } from '../server/instance.ts'
import { groupedName } from '../server/service-name.ts'

const ownPrefix = 'hostmesh.'

function applicationId(
  service: ServiceName,
  at: { readonly address: string; readonly port: number; readonly cluster: string },
): string {
  const cluster = at.cluster === defaultCluster ? '' : ` ${at.cluster}`
  return `${serviceKey(service)} ${endpointId(at)}${cluster}`
}

/** The application behind an instance; undefined for port 0, which consumers announce: there is nothing to reach. */
export function applicationOf(service: ServiceName, instance: NacosInstance): FaceApplication | undefined {
  if (instance.port === 0) return undefined
  const { ip: address, port, cluster, weight, enabled, healthy, ephemeral, owner, listenerUser } = instance
  const metadata = Object.fromEntries(Object.entries(instance.metadata).filter(([key]) => !key.startsWith(ownPrefix)))
  const protocol = instance.metadata[metadataKeys.protocol]
  return {
    id: applicationId(service, { address, port, cluster }),
    service,
    cluster,
    address,
    port,
    weight,
    enabled,
    healthy,
    ephemeral,
    owner,
    listenerUser,
    metadata,
    protocol: protocolOfWord(protocol),
  }
}

/** The way back, for applications of an earlier face. */
export function instanceOf(application: FaceApplication): NacosInstance {
  const {
    address: ip,
    port,
    weight,
    enabled,
    healthy,
    ephemeral,
    metadata,
    owner,
    listenerUser,
    protocol,
  } = application
  return {
    ip,
    port,
    cluster: application.cluster === '' ? defaultCluster : application.cluster,
    weight,
    enabled,
    healthy,
    ephemeral,
    owner,
    listenerUser,
    metadata: protocol === undefined ? metadata : { ...metadata, [metadataKeys.protocol]: protocol },
  }
}

/** Throws for a name that the mesh cannot carry. */
export function checkMeshName(service: ServiceName): void {
  if (parseServiceName(groupedName(service), { namespace: service.namespace, group: '' }) !== undefined) return
  throw new NacosFault(
    'service-name',
    `${groupedName(service)}: the mesh takes names of A-Z a-z 0-9 . _ : $ - only; nothing was registered`,
  )
}

/** A client may announce this host only. Answers the instance with an address literal. */
export function checkLocal(instance: NacosInstance, isLocalAddress: (address: string) => boolean): NacosInstance {
  const ip = instance.ip === 'localhost' ? '127.0.0.1' : instance.ip
  if (isIP(ip) === 0 || !isLocalAddress(ip)) {
    throw new NacosFault(
      'instance',
      `${instance.ip}:${instance.port}: no address of this host; applications of this host only are announced here, ` +
        'register with 127.0.0.1 or with an address of this host',
    )
  }
  return ip === instance.ip ? instance : { ...instance, ip }
}
