/**
 * What the mesh gives to its Nacos face. Control implements it; the face calls nothing else of the agent.
 *
 * The face speaks Nacos with local applications; control decides what a registration means (inbound port, announcement
 * at the real registry) and where a service is reached on this host (its localhost port).
 */
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { Socket } from 'node:net'
import type { AppProtocol } from '../../../contracts/protocols.ts'
import type { AdapterDeps, ConfigSource, Subscription } from '../../../contracts/registry-adapter.ts'
import type { FacePolicy } from '../../../guard/face-policy.ts'

/**
 * A local application as its own Nacos client described it. Identity = `id`, made of service, address, port and (unless
 * DEFAULT) cluster.
 */
export interface FaceApplication {
  readonly id: string
  readonly service: ServiceName
  readonly cluster: string
  /** Where the application listens; already checked to be an address of this host. */
  readonly address: string
  readonly port: number
  /** 0..10_000 */
  readonly weight: number
  readonly enabled: boolean
  /** False = its client asked for a persistent instance: it stays until it is taken back, also over restarts. */
  readonly ephemeral: boolean
  readonly healthy: boolean
  /** User id of who registered it; undefined = registered by a version that did not know. */
  readonly owner: number | undefined
  /** User id that must listen there, now and later; undefined = whoever listens. */
  readonly listenerUser: number | undefined
  /** The client's own metadata, without our `hostmesh.` keys and bounded in size. */
  readonly metadata: Readonly<Record<string, string>>
  /** From the metadata key `hostmesh.protocol`; undefined = the client did not say. */
  readonly protocol: AppProtocol | undefined
}

/** Where a service is reached: at an agent one loopback address, at a center that stands for one its instances. */
export interface FaceEndpoint {
  readonly address: string
  readonly port: number
  /** Metadata of one living instance (frameworks such as Dubbo read theirs); may be empty. */
  readonly metadata: Readonly<Record<string, string>>
}

export interface FaceServiceListener {
  /**
   * Where the service is reached; nowhere while no instance of it is known. Called once as soon as the registry has
   * answered, and again at each change; never synchronously from `subscribeService`, never after `unsubscribe()`.
   */
  onEndpoints(endpoints: readonly FaceEndpoint[]): void
}

export interface FaceDeps extends AdapterDeps {
  /**
   * Applications that an earlier face of this host had registered and that control announces still. The face gives
   * their clients `reconnectGraceMs` to come back, then deregisters them (persistent ones stay). Called once, when the
   * ports are bound; ids are made anew.
   */
  restoredApplications(): readonly FaceApplication[]
  /**
   * Announces the application with the agent's inbound port and keeps it in the state directory. Idempotent by `id`.
   * Rejects with a MeshError, for example E_PORT_RANGE_FULL; its message goes to the client.
   */
  registerApplication(application: FaceApplication): Promise<void>
  /** Replaces weight, enabled, healthy and metadata of a registered application. */
  updateApplication(application: FaceApplication): Promise<void>
  /** Takes the application back on purpose. Unknown ids are ignored. */
  deregisterApplication(id: string): Promise<void>
  /** Makes the service reachable through a localhost port, and tells where. The need ends with `unsubscribe()`. */
  subscribeService(service: ServiceName, listener: FaceServiceListener): Subscription
  /** Names that the registries of this namespace know, at most `limit`. */
  listServices(namespace: string, limit: number, signal: AbortSignal): Promise<readonly ServiceName[]>
  /** The real server's configuration of a namespace; undefined = no registry of ours serves it. */
  configOf(namespace: string): ConfigSource | undefined
  /** What local users may do; asked for each request. */
  policy(): FacePolicy
  /** The user of this host at the other end of a connection that has just been accepted; undefined = not known. */
  uidOf(socket: Socket): number | undefined
  /** The user that listens at an address of this host; undefined = nobody, or not known. */
  uidOfListener(address: string, port: number): number | undefined
  /**
   * Users that have this service by the operator's word (`services.d`, admin API); undefined stands for one that was
   * not named. Nobody, when the word is about this very address without naming a user.
   */
  usersOfService(service: ServiceName, address: string, port: number): readonly (number | undefined)[]
  /** Names of the services in this namespace that `services.d` says are this user's. */
  servicesOfUser(uid: number, namespace: string): readonly string[]
  /** Is this an address of this host? A client may announce itself only. */
  isLocalAddress(address: string): boolean
}
