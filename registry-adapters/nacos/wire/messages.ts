/**
 * JSON bodies of the gRPC requests and responses that clients and servers of Nacos 2.x and 3.x exchange
 * (com.alibaba.nacos.api.remote.*, …api.naming.remote.*, …api.config.remote.*). Only fields that somebody reads;
 * unknown ones are ignored on both sides.
 *
 * A response is named after its request with `Response` in place of `Request`, except where `responseTypes` says
 * otherwise.
 */
import type { WireInstance } from './instance.ts'

export interface WireRequest {
  readonly requestId?: string
}

export interface WireResponse {
  /** 200 or 500. */
  readonly resultCode: number
  readonly errorCode?: number
  readonly message?: string | null
  readonly requestId?: string | null
}

// connection

/** First message of the stream. `tenant` is the namespace id, empty for public. */
export interface ConnectionSetupRequest extends WireRequest {
  readonly clientVersion: string
  readonly tenant: string
  /** `source: sdk` and `module: naming` or `config`, besides free ones. */
  readonly labels: Readonly<Record<string, string>>
  /** 2.3 and later: what we can do; answered by `SetupAckRequest`. */
  readonly abilityTable?: Readonly<Record<string, boolean>>
  /** 2.0 to 2.2; read and ignored. */
  readonly clientAbilities?: object
}

/** Pushed by the server once the connection is registered. */
export interface SetupAckRequest extends WireRequest {
  readonly abilityTable?: Readonly<Record<string, boolean>>
}

/** Pushed: the client must connect elsewhere; to `serverIp` and `serverPort` (HTTP port) when they are given. */
export interface ConnectResetRequest extends WireRequest {
  readonly serverIp?: string | null
  readonly serverPort?: string | null
  readonly connectionId?: string | null
}

// naming

/** A service as servers show it. `hosts` is the whole list. */
export interface WireServiceInfo {
  readonly name: string
  readonly groupName: string
  readonly clusters?: string
  readonly cacheMillis?: number
  readonly hosts: readonly WireInstance[]
  /** Epoch ms on the server's clock: when this view was made. */
  readonly lastRefTime: number
  readonly checksum?: string
  readonly allIPs?: boolean
  /** The healthy share fell below the service's threshold: unhealthy instances are shown as healthy. */
  readonly reachProtectionThreshold?: boolean
  readonly valid?: boolean
}

interface NamingRequest extends WireRequest {
  readonly namespace: string
  readonly serviceName: string
  readonly groupName: string
}

export interface InstanceRequest extends NamingRequest {
  readonly type: 'registerInstance' | 'deregisterInstance'
  readonly instance: WireInstance
}

/** The whole list of one service and connection; replaces the former one. */
export interface BatchInstanceRequest extends NamingRequest {
  readonly type: 'batchRegisterInstance'
  readonly instances: readonly WireInstance[]
}

export interface SubscribeServiceRequest extends NamingRequest {
  readonly subscribe: boolean
  readonly clusters: string
}

export interface SubscribeServiceResponse extends WireResponse {
  readonly serviceInfo?: WireServiceInfo | null
}

export interface ServiceQueryRequest extends NamingRequest {
  readonly cluster: string
  readonly healthyOnly: boolean
  readonly udpPort: number
}

/** The answer to `ServiceQueryRequest`. */
export interface QueryServiceResponse extends WireResponse {
  readonly serviceInfo?: WireServiceInfo | null
}

export interface ServiceListRequest extends WireRequest {
  readonly namespace: string
  readonly groupName: string
  readonly serviceName: string
  readonly pageNo: number
  readonly pageSize: number
  readonly selector?: string
}

/** Pushed; answered by `NotifySubscriberResponse` with the same `requestId`. */
export interface NotifySubscriberRequest extends NamingRequest {
  readonly serviceInfo: WireServiceInfo
}

// configuration

interface ConfigKey {
  readonly dataId: string
  readonly group: string
  readonly tenant: string
}

export interface ConfigQueryRequest extends WireRequest, ConfigKey {
  readonly tag?: string
}

export interface ConfigPublishRequest extends WireRequest, ConfigKey {
  readonly content: string
  /** The md5 that the stored document must have; '' or absent = whatever is there. */
  readonly casMd5?: string
  /** `type`, `appName`, `tag`, `desc`, `betaIps`, `src_user`. */
  readonly additionMap?: Readonly<Record<string, string>>
}

export interface ConfigRemoveRequest extends WireRequest, ConfigKey {
  readonly tag?: string
}

/** Listens to (or, with `listen` false, forgets) documents; `md5` is what the client has, '' = none. */
export interface ConfigBatchListenRequest extends WireRequest {
  readonly listen: boolean
  readonly configListenContexts: readonly (ConfigKey & { readonly md5: string })[]
}

/** Which of them differ from the client's. */
export interface ConfigChangeBatchListenResponse extends WireResponse {
  readonly changedConfigs: readonly ConfigKey[]
}

/** Pushed; answered by `ConfigChangeNotifyResponse`. */
export interface ConfigChangeNotifyRequest extends WireRequest, ConfigKey {}

/** Type names of requests that a client sends. */
export const clientRequests = {
  serverCheck: 'ServerCheckRequest',
  connectionSetup: 'ConnectionSetupRequest',
  healthCheck: 'HealthCheckRequest',
  instance: 'InstanceRequest',
  batchInstance: 'BatchInstanceRequest',
  persistentInstance: 'PersistentInstanceRequest',
  subscribeService: 'SubscribeServiceRequest',
  serviceQuery: 'ServiceQueryRequest',
  serviceList: 'ServiceListRequest',
  configQuery: 'ConfigQueryRequest',
  configPublish: 'ConfigPublishRequest',
  configRemove: 'ConfigRemoveRequest',
  configBatchListen: 'ConfigBatchListenRequest',
  pushAck: 'PushAckRequest',
} as const

/** Type names of requests that a server pushes on the stream. */
export const serverRequests = {
  setupAck: 'SetupAckRequest',
  connectReset: 'ConnectResetRequest',
  clientDetection: 'ClientDetectionRequest',
  notifySubscriber: 'NotifySubscriberRequest',
  configChangeNotify: 'ConfigChangeNotifyRequest',
} as const

/** Type names of answers that do not follow the rule. */
export const responseTypes = {
  error: 'ErrorResponse',
  serviceQuery: 'QueryServiceResponse',
  configBatchListen: 'ConfigChangeBatchListenResponse',
  persistentInstance: 'InstanceResponse',
} as const

/** `SubscribeServiceRequest` → `SubscribeServiceResponse`, with the exceptions above. */
export function responseTypeOf(requestType: string): string {
  switch (requestType) {
    case clientRequests.serviceQuery:
      return responseTypes.serviceQuery
    case clientRequests.configBatchListen:
      return responseTypes.configBatchListen
    case clientRequests.persistentInstance:
      return responseTypes.persistentInstance
    default:
      return requestType.replace(/Request$/, 'Response')
  }
}
