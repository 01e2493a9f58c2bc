/** All rules of a host: sources in, virtual hosts and policies out. Pure; see `types.ts` for the promises. */
import type { PublicKeySpec } from '../../../../contracts/authentication-spec.ts'
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import type { DestinationSpec, HttpRouteSpec, TcpRouteSpec, VirtualHostSpec } from '../../../../contracts/route-spec.ts'
import type { SubsetSpec } from '../../../../contracts/snapshot.ts'
import {
  inboundAuthentication,
  keyNotes,
  keySources,
  outboundAuthentication,
  withAuthentication,
  verifiedFirst,
} from './authentication.ts'
import { inboundAuthorization, outboundAuthorization, withAuthorization } from './authorization.ts'
import { implicitHttpRoute, implicitTcpRoute, inboundHttpRoute } from './implicit-host.ts'
import { guardsCalls } from './guards.ts'
import { withConnectionLimits, withMeshPolicies } from './mesh-policy-routes.ts'
import { inboundPolicy } from './overload-layer.ts'
import { overridesField } from './route-overrides.ts'
import { inboundMtlsMode } from './peer-authentication.ts'
import type { MtlsApplication, MtlsMode } from './peer-authentication.ts'
import { namesExactly, specificity } from './policy-reach.ts'
import { candidateSource } from './candidate-source.ts'
import { noReadGuard } from './read-guard.ts'
import { affectedKeys, changedResources } from './rule-change.ts'
import type { ReadGuard } from './read-guard.ts'
import { RuleIndex } from './rule-index.ts'
import { hostScope, nameOfKey, parseHostName, readingOf } from './rule-host.ts'
import type { HostScope, Place } from './rule-host.ts'
import type { ResourceOf, RuleResource } from './rule-resource.ts'
import { RuleSource } from './rule-source.ts'
import { doubled, inOrder } from './source-order.ts'
import type { SourceOrder } from './source-order.ts'
import type { ReadFar, StatusDraft } from './rule-source.ts'
import { isLongYaml } from '../../../../contracts/yaml-bounds.ts'
import { addressesOf, declaredNames } from './declared-names.ts'
import { servicesOf, withDestinations } from './route-destinations.ts'
import type { CompiledGateways } from './gateways/gateway-ports.ts'
import { gatewaysOf } from './gateways/gateways-of.ts'
import type { GatewayHost } from './gateways/gateway-host.ts'
import { gatewayHttpRoutes, gatewayTcpRoutes } from './gateway-route.ts'
import type { MergedDestinationRule } from './merged-destination-rule.ts'
import { declareService, declaredPorts, portsSpeaking } from './service-entry.ts'
import { ruleNotes } from './rule-notes.ts'
import { destinationRuleLayers, effectivePolicy, meshPolicyLayer, portsWithSettings } from './traffic-policy.ts'
import type { PolicyLayer, RuleScope } from './traffic-policy.ts'
import type { RuleProblem, RuleState, RuleStatus } from '../../../../contracts/rule-status.ts'
import type {
  CandidateChange,
  CompiledService,
  CompiledVirtualHost,
  DeclaredService,
  InboundApplication,
  KeySource,
  RuleChange,
  RuleDocument,
  Rules,
  InboundPolicy,
} from './types.ts'

/** How hosts read: namespace and group that names without one belong to are those of the first registry. */
export interface RuleStoreOptions extends Partial<HostScope>, Place, SourceOrder {
  readonly namespace: string
  readonly group: string
  /** Absent: nothing is remembered of documents under which a process died. */
  readonly guard?: ReadGuard
  /** Absent: long texts are read on the loop, in turns. */
  readonly readFar?: ReadFar
  /** Absent: this host opens no port for Gateways. */
  readonly gateway?: GatewayHost
}

export interface HostedRule {
  readonly document: string
  readonly text: string
  readonly services: readonly ServiceKey[] | undefined
}

export interface HostReading {
  readonly document: string
  readonly line: number
  /** As written. */
  readonly host: string
  readonly key: ServiceKey
  readonly why: string
}

/** Texts up to this size are read in one go. */
const longTextBytes = 32 * 1024

const remembered: RuleProblem = {
  path: '',
  line: 1,
  column: 1,
  message: 'as the last run left it; where it comes from has not been read since',
}
const wholeService: RuleScope = { subset: undefined, port: undefined }

export class RuleStore implements Rules {
  private readonly options: RuleStoreOptions
  private readonly scope: HostScope
  private readonly guard: ReadGuard
  private readonly readFar: ReadFar | undefined
  private readonly localSource: string | undefined
  private readonly sources = new Map<string, RuleSource>()
  private index = new RuleIndex([])
  private declaredNames: ReadonlyMap<string, ServiceKey> = new Map()
  /** By resource: hosts whose name differs from another one by case only. */
  private clashes: ReadonlyMap<string, readonly RuleProblem[]> = new Map()
  private currentVersion = 0
  private compiledGateways: CompiledGateways | undefined
  /** By the id of their source. */
  private readonly keys = new Map<string, readonly PublicKeySpec[]>()
  private readonly keyProblems = new Map<string, string>()

  constructor(options: RuleStoreOptions) {
    this.options = options
    this.scope = hostScope(options)
    this.guard = options.guard ?? noReadGuard
    this.readFar = options.readFar
    this.localSource = options.localSource
  }

  get version(): number {
    return this.currentVersion
  }

  replaceSource(name: string, documents: readonly RuleDocument[]): RuleChange {
    const before = this.goodById()
    const source = this.source(name)
    this.guard.begin(source.news(documents))
    source.replace(documents)
    const affected = this.rebuild(before)
    return { statuses: source.drafts.map((draft) => this.status(source, draft)), affected }
  }

  isLong(name: string, documents: readonly RuleDocument[]): boolean {
    const news = this.sources.get(name)?.news(documents) ?? documents
    const texts = news.flatMap(({ text }) => text ?? [])
    return texts.reduce((sum, text) => sum + text.length, 0) > longTextBytes || texts.some(isLongYaml)
  }

  async readAhead(name: string, documents: readonly RuleDocument[], turn: () => Promise<void>): Promise<void> {
    const source = this.source(name)
    this.guard.begin(source.news(documents))
    await source.readAhead(documents, turn)
  }

  settled(): void {
    this.guard.end()
  }

  withCandidate(text: string): CandidateChange {
    const fork = new RuleStore(this.options)
    for (const [name, source] of this.sources) fork.sources.set(name, source)
    for (const [id, keys] of this.keys) fork.keys.set(id, keys)
    const local = this.localSource === undefined ? undefined : this.sources.get(this.localSource)
    const source = candidateSource(text, this.scope, local)
    fork.sources.set(source.name, source)
    const affected = fork.rebuild(this.goodById())
    return { rules: fork, statuses: source.drafts.map((draft) => fork.status(source, draft)), affected }
  }

  statuses(): readonly RuleStatus[] {
    return this.orderedSources().flatMap((source) => source.drafts.map((draft) => this.status(source, draft)))
  }

  inForce(rule: string): string | undefined {
    return this.index.lostTo(rule) === undefined ? this.goodById().get(rule)?.text : undefined
  }

  resolveName(name: string): ServiceKey | undefined {
    const lower = name.toLowerCase()
    const declared = this.declaredNames.get(lower.endsWith('.') ? lower.slice(0, -1) : lower)
    if (declared !== undefined) return declared
    const key = parseHostName(name, this.scope, this.scope)
    if (key === undefined) return undefined
    return this.wildcardKey(key) ?? key
  }

  plainKey(name: string): ServiceKey | undefined {
    return parseHostName(name, this.scope, this.scope)
  }

  declaredKeys(): readonly ServiceKey[] {
    return [...new Set([...this.index.virtualServices.keys(), ...this.index.serviceEntries.keys()])].toSorted()
  }

  virtualHost(key: ServiceKey): CompiledVirtualHost {
    const rule = this.index.virtualServices.find(key)
    const policies = this.policiesFor(key)
    const routes = rule === undefined ? undefined : this.index.routesOf(rule)
    const gateway = this.gatewayRoutes(key)
    const http = routes?.http ?? gateway.http ?? [implicitHttpRoute(key, this.declaredService(key))]
    const domains = this.domains(key)
    const except = this.except(key, domains)
    const spec: VirtualHostSpec = {
      name: key,
      domains,
      ...(except.length === 0 ? {} : { except }),
      ...overridesField(key, policies, this.scope),
      http: http.map((route) => this.withPorts(withMeshPolicies(route, policies, this.scope))),
      tcp: (routes?.tcp ?? gateway.tcp ?? [implicitTcpRoute(key)]).map((route) => ({
        ...withConnectionLimits(route, policies),
        destinations: route.destinations.map((one) => this.destinationPorts(one, 'tcp')),
      })),
    }
    const isDeclared =
      rule !== undefined ||
      gateway.http !== undefined ||
      gateway.tcp !== undefined ||
      this.index.serviceEntries.find(key) !== undefined
    const authorization = outboundAuthorization(key, this.index, this.scope)
    const authentication = outboundAuthentication(key, this.index, this.scope, this.keys)
    return {
      spec: withAuthorization(verifiedFirst(spec, authentication), authorization, this.scope),
      services: servicesOf(spec),
      isDeclared,
    }
  }

  keySources(): readonly KeySource[] {
    return keySources(this.index)
  }

  setKeys(source: string, keys: readonly PublicKeySpec[] | undefined, problem: string | undefined): void {
    if (keys === undefined) this.keys.delete(source)
    else this.keys.set(source, keys)
    if (problem === undefined) this.keyProblems.delete(source)
    else this.keyProblems.set(source, problem)
    this.compiledGateways = undefined
  }

  gateways(): CompiledGateways {
    const policiesFor = (key: ServiceKey) => this.policiesFor(key)
    const destination = (one: DestinationSpec, protocol: AppProtocol) => this.destinationPorts(one, protocol)
    const parts = { index: this.index, scope: this.scope, keys: this.keys, policiesFor, destination }
    this.compiledGateways ??= gatewaysOf(this.options.gateway, parts)
    return this.compiledGateways
  }

  get guardsCalls(): boolean {
    return guardsCalls(this.index, this.scope.userFilters)
  }

  inboundVirtualHost(key: ServiceKey, application: InboundApplication): VirtualHostSpec {
    const policies = this.policiesFor(key)
    const http = withMeshPolicies(inboundHttpRoute(application.key), policies, this.scope, 'Inbound')
    const tcp = withConnectionLimits(implicitTcpRoute(application.key), policies, 'Inbound')
    const overrides = overridesField(key, policies, this.scope)
    const host: VirtualHostSpec = { name: application.key, domains: [], ...overrides, http: [http], tcp: [tcp] }
    const authentication = inboundAuthentication(key, application, this.index, this.scope, this.keys)
    const authorization = inboundAuthorization(key, application, this.index, this.scope)
    return withAuthorization(withAuthentication(host, authentication), authorization, this.scope)
  }

  inboundPolicy(key: ServiceKey): InboundPolicy {
    return inboundPolicy(this.policiesFor(key))
  }

  inboundMtls(key: ServiceKey, application: MtlsApplication): MtlsMode {
    return inboundMtlsMode(key, application, this.index, this.scope)
  }

  service(key: ServiceKey): CompiledService {
    const rule = this.index.destinationRule(key)
    const policyFor = (scope: RuleScope) => effectivePolicy(this.layers(key, rule, scope))
    const portPolicies = (subset: string | undefined): CompiledService['portPolicies'] =>
      Object.fromEntries(
        (rule === undefined ? [] : portsWithSettings(rule, subset)).map((port) => [port, policyFor({ subset, port })]),
      )
    const subsets: Record<string, SubsetSpec> = {}
    for (const { name, labels } of rule?.subsets ?? []) {
      const ports = portPolicies(name)
      subsets[name] = {
        labels,
        policy: policyFor({ subset: name, port: undefined }),
        ...(Object.keys(ports).length === 0 ? {} : { portPolicies: ports }),
      }
    }
    return { policy: policyFor(wholeService), subsets, portPolicies: portPolicies(undefined) }
  }

  declaredService(key: ServiceKey): DeclaredService | undefined {
    const claim = this.index.serviceEntries.claim(key)
    if (claim === undefined) return undefined
    const host = claim.host.suffix === undefined ? claim.host.text : nameOfKey(key)
    const { spec, namespace, origin } = claim.resource
    const workloads = this.index.workloadEntries.filter((one) => one.namespace === namespace).map((one) => one.spec)
    return declareService({ spec, host, key, origin: origin('spec'), workloads })
  }

  /** Hosts that a namespace or the name of a cluster made another service than is written, for whoever wonders. */
  hostReadings(): HostReading[] {
    return this.orderedSources().flatMap((source) =>
      [...source.good.values()].flatMap(({ resource, document }) =>
        (resource.hosts ?? []).flatMap((host, index) => {
          const why = readingOf(host, resource.namespace, this.scope)
          if (why === undefined) return []
          return { document, line: resource.hostPositions[index]?.line ?? 0, host: host.text, key: host.key, why }
        }),
      ),
    )
  }

  /** Every resource in force with the services about which it decides; undefined = about no single ones. */
  hostedRules(): HostedRule[] {
    return this.orderedSources().flatMap((source) =>
      [...source.good.values()].map(({ resource: { hosts, text }, document }) => {
        const isSingle = hosts !== undefined && hosts.length > 0 && hosts.every((host) => host.suffix === undefined)
        return { document, text, services: isSingle ? [...new Set(hosts.map((host) => host.key))] : undefined }
      }),
    )
  }

  exportState(): unknown {
    const resources = this.orderedSources().flatMap((source) =>
      [...source.good.values()].map(({ resource, document }) => ({
        source: source.name,
        document,
        text: resource.text,
      })),
    )
    return { version: 1, resources }
  }

  importState(state: unknown): void {
    if (typeof state !== 'object' || state === null || !('resources' in state) || !Array.isArray(state.resources))
      return
    for (const entry of state.resources as unknown[]) {
      const { source: name, document, text } = Object(entry) as Record<string, unknown>
      if (typeof name !== 'string' || typeof document !== 'string' || typeof text !== 'string') continue
      this.source(name).restore(document, text)
    }
    this.rebuild(new Map())
  }

  private gatewayRoutes(key: ServiceKey): { http: HttpRouteSpec[] | undefined; tcp: TcpRouteSpec[] | undefined } {
    const http = this.index.httpRoutes.claim(key)
    const tcp = this.index.tcpRoutes.claim(key)
    return {
      http:
        http === undefined
          ? undefined
          : gatewayHttpRoutes([http.resource, ...http.others], key).map((route) =>
              withDestinations(route, (one) => this.backendPort(one)),
            ),
      tcp:
        tcp === undefined
          ? undefined
          : gatewayTcpRoutes([tcp.resource, ...tcp.others], key).map((route) => ({
              ...route,
              destinations: route.destinations.map((one) => this.backendPort(one)),
            })),
    }
  }

  private withPorts(route: HttpRouteSpec): HttpRouteSpec {
    return withDestinations(route, (one) => this.destinationPorts(one, 'http'))
  }

  /**
   * A registry knows no ports of services: the port of a backend means something only where a ServiceEntry lists it.
   */
  private backendPort(destination: DestinationSpec): DestinationSpec {
    const { port, ...rest } = destination
    return port === undefined || this.index.serviceEntries.find(destination.service) !== undefined ? destination : rest
  }

  /** The ports among which the caller's decides, where the rule names none. */
  private destinationPorts(destination: DestinationSpec, protocol: AppProtocol): DestinationSpec {
    if (destination.port !== undefined) return destination
    const entry = this.index.serviceEntries.find(destination.service)
    if (entry !== undefined) {
      return { ...destination, ports: portsSpeaking(declaredPorts(entry.spec), protocol), hasOnlyPorts: true }
    }
    const rule = this.index.destinationRule(destination.service)
    const ports = rule === undefined ? [] : portsWithSettings(rule, destination.subset)
    return ports.length === 0 ? destination : { ...destination, ports }
  }

  private layers(key: ServiceKey, rule: MergedDestinationRule | undefined, scope: RuleScope): PolicyLayer[] {
    const policies = this.policiesFor(key)
    const asLayers = (some: readonly ResourceOf<'MeshPolicy'>[]) =>
      some.map((policy) => meshPolicyLayer(policy.spec, policy.origin)).toReversed()
    const layers = rule === undefined ? undefined : destinationRuleLayers(rule, scope)
    return [
      ...asLayers(policies.filter((policy) => !namesExactly(policy, key))),
      ...(layers === undefined ? [] : [layers.host]),
      ...asLayers(policies.filter((policy) => namesExactly(policy, key))),
      ...(layers === undefined ? [] : [layers.specific]),
    ]
  }

  /** The most specific first; among equals in the order of their names. */
  private policiesFor(key: ServiceKey): ResourceOf<'MeshPolicy'>[] {
    return this.index.meshPolicies
      .map((policy) => ({ policy, rank: specificity(policy, key) }))
      .filter(({ rank }) => rank >= 0)
      .toSorted((a, b) => b.rank - a.rank)
      .map(({ policy }) => policy)
  }

  /** Names under which a caller can reach the host without asking control; a name that leads elsewhere is left out. */
  private domains(key: ServiceKey): string[] {
    const hosts = [this.index.virtualServices, this.index.serviceEntries]
      .map((table) => table.claim(key)?.host)
      .filter((host) => host !== undefined)
      .filter((host) => host.key === key)
    const entry = this.index.serviceEntries.claim(key)
    const names = [
      ...hosts.filter((host) => host.every === undefined).map((host) => host.text),
      ...(entry?.host.key === key ? addressesOf(entry.resource) : []),
    ]
    const domains = names.map((name) => name.toLowerCase()).filter((name) => this.declaredNames.get(name) === key)
    return [...new Set(domains)]
  }

  /** Names under the wildcards of a host for which a more specific rule decides. */
  private except(key: ServiceKey, domains: readonly string[]): string[] {
    const suffixes = domains.filter((domain) => domain.startsWith('*')).map((domain) => domain.slice(1))
    if (suffixes.length === 0) return []
    const except: string[] = []
    for (const [name, other] of this.declaredNames) {
      if (other !== key && suffixes.some((suffix) => name !== `*${suffix}` && name.endsWith(suffix))) except.push(name)
    }
    return except.toSorted()
  }

  /**
   * Where a name leads under a wildcard: to the wildcard's own routes and endpoints, but under an entry without
   * endpoints to a service of its own, since each name has its own addresses.
   */
  private wildcardKey(key: ServiceKey): ServiceKey | undefined {
    const rule = this.index.virtualServices.claim(key)
    if (rule !== undefined)
      return rule.host.suffix === undefined || rule.host.every !== undefined ? undefined : rule.host.key
    const entry = this.index.serviceEntries.claim(key)
    if (entry?.host.suffix === undefined) return undefined
    const { endpoints, workloadSelector, addresses } = entry.resource.spec
    const hasPlaces = endpoints !== undefined || workloadSelector !== undefined || addresses !== undefined
    return hasPlaces ? entry.host.key : undefined
  }

  private goodById(): Map<string, RuleResource> {
    const inForce = new Map<string, RuleResource>()
    for (const source of this.orderedSources()) {
      for (const [id, { resource }] of source.good) if (!inForce.has(id)) inForce.set(id, resource)
    }
    return inForce
  }

  private rebuild(before: ReadonlyMap<string, RuleResource>): RuleChange['affected'] {
    const after = this.goodById()
    this.index = new RuleIndex(after.values())
    this.compiledGateways = undefined
    const { names, clashes } = declaredNames(this.index, this.scope)
    this.declaredNames = names
    this.clashes = clashes
    const changed = changedResources(before, after)
    if (changed.length > 0) this.currentVersion++
    return affectedKeys(changed, this.index)
  }

  private status(source: RuleSource, { id, isGood, ...draft }: StatusDraft): RuleStatus {
    if (!isGood || id === undefined) return { ...draft, source: source.name, state: 'rejected' }
    const resource = source.good.get(id)?.resource
    const winner = this.orderedSources().find((one) => one.good.has(id))
    if (winner !== undefined && winner !== source) {
      const { message, state } = doubled(id, source, winner, this.options)
      const problem = { path: 'metadata.name', line: draft.line, column: 1, message }
      return { ...draft, source: source.name, state, inForce: false, problems: [problem] }
    }
    const problems = [
      ...(source.isRemembered ? [remembered] : []),
      ...this.index.conflictsOf(id),
      ...(this.clashes.get(id) ?? []),
      ...(this.gateways().notes.get(id) ?? []),
      ...(resource === undefined
        ? []
        : [...resource.notes, ...ruleNotes(resource, this.index), ...keyNotes(resource, this.keyProblems)]),
    ]
    const state: RuleState = this.index.lostTo(id) ?? 'applied'
    return { ...draft, source: source.name, state, inForce: state === 'applied', problems }
  }

  private source(name: string): RuleSource {
    const scope = name === this.localSource ? { ...this.scope, isLocal: true } : this.scope
    const source = this.sources.get(name) ?? new RuleSource(name, scope, this.guard, this.readFar)
    this.sources.set(name, source)
    return source
  }

  private orderedSources(): readonly RuleSource[] {
    return inOrder(this.sources.values(), this.options)
  }
}
