/**
 * How Nacos clients of a host whose control is dead reach a center: the watchdog takes their connections at the ports
 * of the Nacos face and asks the rules API of a center, once for each, with the token of the host:
 *
 *     GET /apis/hostmesh.io/v1/hosts/NAME/nacos
 *     connection: upgrade, upgrade: hostmesh-nacos-http or -grpc, x-hostmesh-user: 1000
 *
 * 101: from then on the bytes of the client pass as they are. Anything else: refused, with a Status of Kubernetes.
 * What users of the host may register is known to the center before, by the last report of the host.
 */
import { hostsPath } from './host-report.ts'

export type FaceKind = 'http' | 'grpc'

const prefix = 'hostmesh-nacos-'
/** Who dialled, by the kernel of the host; absent = not known. */
export const faceUserField = 'x-hostmesh-user'

export function facePath(host: string): string {
  return `${hostsPath}/${encodeURIComponent(host)}/nacos`
}

/** Of a decoded path; undefined = it is another one. */
export function hostOfFacePath(path: string): string | undefined {
  const end = '/nacos'
  if (!path.startsWith(`${hostsPath}/`) || !path.endsWith(end)) return undefined
  const name = path.slice(hostsPath.length + 1, -end.length)
  return name === '' ? undefined : name
}

export function faceWord(kind: FaceKind): string {
  return `${prefix}${kind}`
}

/** Of the field `upgrade`; undefined = it asks for something else. */
export function faceKindOf(upgrade: string | undefined): FaceKind | undefined {
  const word = upgrade?.toLowerCase()
  return word === `${prefix}http` ? 'http' : word === `${prefix}grpc` ? 'grpc' : undefined
}

/** In `relay-targets.json`: the ports of the face, and the centers that may stand for it. */
export interface FaceRelay {
  readonly address: string
  readonly httpPort: number
  readonly grpcPort: number
  /** `host:port` of the rules API of each center, in the order of the configuration. */
  readonly servers: readonly string[]
  /** Absolute paths; what lies there is never in here. */
  readonly tokenFile?: string | undefined
  readonly tls?: FaceRelayTls | undefined
}

export interface FaceRelayTls {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}
