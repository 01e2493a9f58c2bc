/**
 * What stands behind the protocol: a store (the embedded registry) or the mesh. The servers of this folder know nothing
 * else.
 *
 * Methods reject or throw with a NacosFault, whose text the client sees. Names and instances are already checked;
 * whether the caller may do it is the backend's to say.
 */
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { Subscription } from '../../../contracts/registry-adapter.ts'
import type { Caller } from '../../../guard/caller.ts'
import type { NacosInstance } from './instance.ts'

/** A service at one moment. */
export interface ServiceView {
  readonly service: ServiceName
  /** All instances, also unhealthy and disabled ones, sorted by key. */
  readonly instances: readonly NacosInstance[]
  /** 0..1 */
  readonly protectThreshold: number
  readonly metadata: Readonly<Record<string, string>>
  /** The one instance stands for those of every cluster: shown under whichever cluster is asked for. */
  readonly isAnyCluster?: boolean
}

/** What an operator may change of an instance. */
export interface InstanceChange {
  readonly weight?: number
  readonly enabled?: boolean
  readonly healthy?: boolean
  readonly metadata?: Readonly<Record<string, string>>
}

export interface ServiceSettings {
  readonly protectThreshold: number
  readonly metadata: Readonly<Record<string, string>>
}

export interface InstanceAddress {
  readonly ip: string
  readonly port: number
  readonly cluster: string
}

export interface NamingBackend {
  /**
   * Adds or replaces instances. With a `connection` they live as long as it does, and are the whole of what this
   * connection publishes of the service; without one an ephemeral instance lives by heartbeats and a persistent one
   * until it is taken back.
   */
  register(
    service: ServiceName,
    instances: readonly NacosInstance[],
    connection: string | undefined,
    caller: Caller,
  ): Promise<void>
  /** Takes back what the same owner registered; unknown instances are ignored. */
  deregister(
    service: ServiceName,
    instance: NacosInstance,
    connection: string | undefined,
    caller: Caller,
  ): Promise<void>
  /** A heartbeat. False = the instance is not known: the client must register again. */
  beat(service: ServiceName, address: InstanceAddress, caller: Caller): Promise<boolean>
  /** False = no such instance. */
  change(service: ServiceName, address: InstanceAddress, change: InstanceChange, caller: Caller): Promise<boolean>
  /** The connection is gone, and with it what it published. */
  connectionGone(connection: string): void
  /** The service now; undefined = never heard of. May wait for the first answer of a registry behind us. */
  query(service: ServiceName, caller: Caller): Promise<ServiceView | undefined>
  /**
   * Calls `onChange` after each change, never from within `subscribe`; it must be quick and call nothing here. `query`
   * then tells what is new.
   */
  subscribe(service: ServiceName, onChange: () => void, caller: Caller): Subscription
  /** All names of the namespace, sorted. */
  list(namespace: string, group: string | undefined): Promise<readonly ServiceName[]>
  createService(service: ServiceName, settings: ServiceSettings): Promise<void>
  updateService(service: ServiceName, settings: ServiceSettings): Promise<void>
  deleteService(service: ServiceName): Promise<void>
}

export interface ConfigKey {
  readonly namespace: string
  readonly group: string
  readonly dataId: string
}

export interface StoredConfig {
  readonly content: string
  /** Lower-case hex. */
  readonly md5: string
  /** `text`, `yaml`, `json`, `properties`, `xml`, `html` or `toml`. */
  readonly type: string
  /** Epoch ms. */
  readonly modifiedAt: number
}

export interface ConfigBackend {
  read(key: ConfigKey, caller: Caller): Promise<StoredConfig | undefined>
  /**
   * False = `casMd5` was given and is not the md5 of what is stored; nothing was written. Where nothing is stored, it
   * is written, as Nacos does.
   */
  publish(key: ConfigKey, content: string, type: string, casMd5: string | undefined, caller: Caller): Promise<boolean>
  remove(key: ConfigKey, caller: Caller): Promise<void>
  /**
   * Calls `onChange` with the md5 ('' = no such document) at each change, never synchronously. `md5Now` is what the
   * caller knows: when it differs already, the call comes at once.
   */
  watch(key: ConfigKey, md5Now: string, onChange: (md5: string) => void, caller: Caller): Subscription
  /** Documents of a namespace, for searches; undefined = this backend cannot enumerate. */
  list(namespace: string): readonly (ConfigKey & StoredConfig)[] | undefined
}

export interface Backend {
  readonly naming: NamingBackend
  readonly config: ConfigBackend
  /** Does what is due by now: expiry of heartbeats, empty services, unused subscriptions. */
  sweep(): void
}
