/**
 * What the rest of control sees of the rules. `RuleStore` (`rule-store.ts`) implements `Rules`; it is pure: no file, no
 * clock, no socket.
 *
 * How control uses it:
 *  1. one `RuleStore` with the registry's default namespace and group;
 *  2. whoever has rules calls `replaceSource('rules.d', documents)`, `replaceSource('nacos:main', …)`: always with ALL
 *  documents of that source;
 *  3. names that callers use go through `resolveName`; the key that comes back is the name of a virtual host and
 *  (usually) of a service;
 *  4. `virtualHost(key)` gives the routes and every service they lead to: those have to be subscribed;
 *  5. `service(key)` gives the policies for the snapshot's ServiceSpec, `serviceEntry(key)` the endpoints if a
 *  ServiceEntry declares the service;
 *  6. after a change only the keys in `affected` have to be compiled again.
 */
import type { TrafficPolicySpec } from '../../../../contracts/policy-spec.ts'
import type { PublicKeySpec } from '../../../../contracts/authentication-spec.ts'
import type { Endpoint, EndpointSet, ServiceKey } from '../../../../contracts/endpoint.ts'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import type { RuleOrigin, VirtualHostSpec } from '../../../../contracts/route-spec.ts'
import type { RuleStatus } from '../../../../contracts/rule-status.ts'
import type { ServiceSpec } from '../../../../contracts/snapshot.ts'
import type { CompiledGateways } from './gateways/gateway-ports.ts'

/** One file, Nacos document or center resource; may hold several YAML documents. */
export interface RuleDocument {
  /** Shown in statuses: a path, a data id. Unique in its source. */
  readonly name: string
  /**
   * undefined: the document is there but could not be read; `problem` says why, and its last good resources stay in
   * force.
   */
  readonly text: string | undefined
  readonly problem?: string
  /** Nobody has answered for it yet: no fault of anybody. */
  readonly isAwaited?: true
}

export interface RuleChange {
  /** Of the replaced source, in document order. */
  readonly statuses: readonly RuleStatus[]
  /**
   * Keys whose virtual host, policies or endpoints may differ now; `all` if a rule without a host or with a wildcard
   * host changed.
   */
  readonly affected: ReadonlySet<ServiceKey> | 'all'
}

export interface CompiledVirtualHost {
  readonly spec: VirtualHostSpec
  /** Every service that a route, a mirror or a TCP route of it can lead to. Sorted, unique. */
  readonly services: readonly ServiceKey[]
  /** Whether a VirtualService or ServiceEntry declares this host, so that it exists although no registry knows it. */
  readonly isDeclared: boolean
}

/** The part of the snapshot's ServiceSpec that rules decide. */
export type CompiledService = Pick<ServiceSpec, 'policy' | 'subsets' | 'portPolicies'>

/** Endpoint of a ServiceEntry before names are resolved. */
export interface EntryEndpoint extends Omit<Endpoint, 'address'> {
  /** IP literal, or with resolution `dns` a host name that control resolves. */
  readonly host: string
}

/** A port by which callers name a declared service. */
export interface DeclaredPort {
  readonly number: number
  readonly protocol: AppProtocol
}

/**
 * A service that a ServiceEntry declares. It wins over a registry that has the same key: two sources are never mixed.
 */
export interface DeclaredService {
  readonly key: ServiceKey
  /** `http` if any port is. */
  readonly protocol: AppProtocol
  /** In the order of the entry. */
  readonly ports: readonly DeclaredPort[]
  readonly resolution: 'static' | 'dns'
  readonly endpoints: readonly EntryEndpoint[]
  readonly origin: RuleOrigin
}

/** Where the public keys of an issuer are had. */
export interface KeySource {
  readonly id: string
  readonly url: string
  /** The URL is that of the issuer, whose configuration names the one of the keys. */
  readonly isDiscovery: boolean
  readonly timeoutMs: number
}

/** A local application behind its inbound port. */
export interface InboundApplication {
  /** The service that the inbound listener leads to. */
  readonly key: ServiceKey
  readonly labels: Readonly<Record<string, string>>
  /** By which other hosts know it. */
  readonly address: string
  /** The application's own. */
  readonly port: number
}

/** The part of a policy that holds for what a local application gets. */
export type InboundPolicy = Partial<Pick<TrafficPolicySpec, 'concurrency' | 'admissionControl' | 'callers' | 'origins'>>

/** What the rules would be with another version of some. */
export interface CandidateChange extends RuleChange {
  readonly rules: Rules
}

export interface Rules {
  /**
   * The rules as they would be with the resources of this text in the place of those that are called so, whatever
   * source they came from. Changes nothing here. Never throws for what the text holds: problems are in the statuses.
   */
  withCandidate(text: string): CandidateChange
  /**
   * Replaces everything that came from `source`. Never throws for what the documents hold: problems are in the
   * statuses. A resource with problems keeps its last good version in force; a resource that is gone from a readable
   * document is gone.
   */
  replaceSource(source: string, documents: readonly RuleDocument[]): RuleChange
  /** Whether `replaceSource` would read so much that others had to wait for it: `readAhead` comes first then. */
  isLong(source: string, documents: readonly RuleDocument[]): boolean
  /**
   * Reads in small steps what the next `replaceSource` with the same documents needs; `turn` lets others run in
   * between. Changes nothing that is in force.
   */
  readAhead(source: string, documents: readonly RuleDocument[], turn: () => Promise<void>): Promise<void>
  /** What was replaced is compiled and in force: no document of it has ended the process. */
  settled(): void
  /** Of all sources: by source name, then document order. */
  statuses(): readonly RuleStatus[]
  /** Text of what decides under this name, `VirtualService shop/orders`; undefined = nothing does. */
  inForce(rule: string): string | undefined
  /** Grows with each change of what is in force. */
  readonly version: number

  /**
   * What a caller (`x-mesh-service`, Host without port) or an operator (`outbound.services[].service`) wrote, as the
   * key of a virtual host: a VirtualService or ServiceEntry host (exact, then the longest `*.suffix`, whose key is the
   * wildcard's), else the service that the name reads as. undefined if it is no possible name.
   */
  resolveName(name: string): ServiceKey | undefined
  /** The service that a name reads as, whatever wildcards are over it; undefined if it is no possible name. */
  plainKey(name: string): ServiceKey | undefined
  /** Keys that VirtualServices and ServiceEntries declare: they exist without any registry. Sorted. */
  declaredKeys(): readonly ServiceKey[]
  /**
   * Routes for a key: of the VirtualService that decides about it, else the implicit one (every request to the
   * service).
   */
  virtualHost(key: ServiceKey): CompiledVirtualHost
  /**
   * Routes from the network to a local application: everything, without retries, under the `Inbound` rate limits of the
   * MeshPolicies of its service and the AuthorizationPolicies that hold for it. `key` is the service that the
   * application is an instance of. VirtualServices do not apply: they are the caller's side, as in Istio.
   */
  inboundVirtualHost(key: ServiceKey, application: InboundApplication): VirtualHostSpec
  /** Sources of keys that rules name, each once. */
  keySources(): readonly KeySource[]
  /** What a source gave; undefined = nothing, because of `problem`. Everything has to be compiled again. */
  setKeys(source: string, keys: readonly PublicKeySpec[] | undefined, problem: string | undefined): void
  /** Whether a policy may refuse calls of local applications. */
  readonly guardsCalls: boolean
  /** What MeshPolicies say of overload for local applications that are instances of the service. */
  inboundPolicy(key: ServiceKey): InboundPolicy
  /** What the inbound port of an application takes by the PeerAuthentications; `permissive` without any. */
  inboundMtls(
    key: ServiceKey,
    application: { readonly labels: Readonly<Record<string, string>>; readonly port: number },
  ): 'disable' | 'permissive' | 'strict'
  /** What Gateways open on this host, by its configuration. */
  gateways(): CompiledGateways
  /** Policies of a service, its subsets and ports, with the origin of every value that is no default. */
  service(key: ServiceKey): CompiledService
  /** The service that a ServiceEntry declares under this key. */
  declaredService(key: ServiceKey): DeclaredService | undefined

  /**
   * Good resources as text, for the state directory, so that the last good versions survive a restart of control. Plain
   * data.
   */
  exportState(): unknown
  /** Before the first `replaceSource`. Tolerates anything: what it does not understand is dropped. */
  importState(state: unknown): void
}

/**
 * Endpoint set of a declared service from what its names resolved to (`addresses` by host name; literals need no
 * entry).
 */
export type EntrySetBuilder = (
  service: DeclaredService,
  addresses: ReadonlyMap<string, readonly string[]>,
  version: number,
  now: number,
) => EndpointSet
