/** A local application as control knows it, whoever told about it. */
import { metadataKeys, serviceKey, type ServiceName } from '../../../../contracts/endpoint.ts'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import type { HalfClosed } from '../../../../contracts/snapshot.ts'
import type { ApplicationConfig } from '../../config/types.ts'

export type CheckSpec = CheckKind & {
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly healthyThreshold: number
  readonly unhealthyThreshold: number
}

type CheckKind =
  | { readonly kind: 'tcp' }
  | { readonly kind: 'http'; readonly path: string }
  | { readonly kind: 'grpc'; readonly service: string }

/** `file`: services.d; `api`: the admin socket; `face`: an ordinary Nacos client; `sofa`: one of SOFARPC. */
export type ApplicationSource = 'file' | 'api' | 'face' | 'sofa'

export interface Application {
  /** Service key and address: stable over restarts, and the name of its inbound port. */
  readonly id: string
  readonly source: ApplicationSource
  readonly service: ServiceName
  /** Where it listens on this host. */
  readonly address: string
  readonly port: number
  readonly protocol: AppProtocol
  readonly registry: string | undefined
  readonly cluster: string | undefined
  readonly weight: number
  readonly enabled: boolean
  /** Said by the application itself; what a check finds is kept elsewhere. */
  readonly healthy: boolean
  readonly metadata: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly user: string | number | undefined
  /** Its name towards others, as far as its file says one. */
  readonly identity?: { readonly namespace?: string | undefined; readonly account?: string | undefined } | undefined
  /** Pinned; undefined = allocated. */
  readonly inboundPort: number | undefined
  /** What callers that close their side are; absent = as everywhere on this host. */
  readonly halfClosed?: HalfClosed | undefined
  /**
   * User id that must listen at address and port: nothing is sent to another user's socket. Absent = whoever listens.
   */
  readonly listenerUser?: number | undefined
  /** undefined = never checked: what the application says counts. */
  readonly check: CheckSpec | undefined
  /** What the Nacos face needs to know of it again after a restart. */
  readonly face?: {
    readonly id: string
    readonly ephemeral: boolean
    readonly protocol: AppProtocol | undefined
    /** User id of who registered it; absent = registered by a version that did not know. */
    readonly owner?: number | undefined
  }
  /** User id of who published it by SOFA's mesh API. */
  readonly sofa?: { readonly owner: number | undefined }
}

/** Whether whoever runs it tells about it, and no operator. */
export function isSelfAnnounced({ source }: Pick<Application, 'source'>): boolean {
  return source === 'face' || source === 'sofa'
}

export function applicationId(service: ServiceName, address: string, port: number): string {
  return `${serviceKey(service)} ${address.includes(':') ? `[${address}]` : address}:${port}`
}

export function applicationOf(config: ApplicationConfig, source: ApplicationSource): Application {
  const { check } = config
  const version = config.version ?? config.metadata[metadataKeys.version]
  return {
    id: applicationId(config.service, config.address, config.port),
    source,
    service: config.service,
    address: config.address,
    port: config.port,
    protocol: config.protocol,
    registry: config.registry,
    cluster: config.cluster,
    weight: config.weight,
    enabled: true,
    healthy: true,
    metadata: version === undefined ? config.metadata : { ...config.metadata, [metadataKeys.version]: version },
    labels: config.labels,
    user: config.user,
    identity: config.identity,
    inboundPort: config.inboundPort,
    halfClosed: config.halfClosed,
    check:
      check.off === true || (config.protocol === 'udp' && !saysKind(check))
        ? undefined
        : {
            ...(check.http !== undefined
              ? { kind: 'http', path: check.http }
              : check.grpc !== undefined
                ? { kind: 'grpc', service: check.grpc }
                : { kind: 'tcp' }),
            intervalMs: check.interval,
            timeoutMs: check.timeout,
            healthyThreshold: check.healthyThreshold,
            unhealthyThreshold: check.unhealthyThreshold,
          },
  }
}

/** Without a word of it a TCP connection is tried, which says nothing of an application that takes datagrams. */
function saysKind({ grpc, http, tcp }: ApplicationConfig['check']): boolean {
  return grpc !== undefined || http !== undefined || tcp === true
}
