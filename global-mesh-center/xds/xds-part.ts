/**
 * Discovery at a port: the endpoints that this center's registries know and the rules that it keeps, for agents, and in
 * Envoy's words for proxies and clients of gRPC.
 */
import { ruleScope } from '../../agent/control/config/rule-scope.ts'
import { formatHostPort } from '../../agent/control/config/scalars.ts'
import type { AdminPage } from '../../agent/control/admin/http.ts'
import type { RuleDocument } from '../../agent/control/core/rules/types.ts'
import { KeptPort } from '../../agent/control/kept-port.ts'
import type { LeadingPart, PartDeps } from '../../agent/control/leading-part.ts'
import type { CenterConfig, XdsConfig } from '../config/types.ts'
import { accessProblem, portAccess, type PortAccess } from '../port-access.ts'
import { RateLimiter } from '../rate-limits/rate-limiter.ts'
import { EndpointSource } from './endpoint-source.ts'
import { ForeignResources, type ForeignDeps } from './envoy/foreign-resources.ts'
import { LeftOutTable } from './envoy/left-out-table.ts'
import { leftOutPage } from './envoy/left-out-page.ts'
import { FollowedServices, type FollowedServicesDeps } from './followed-services.ts'
import { RuleGroups, type CandidateRule } from './rule-groups.ts'
import { XdsServer } from './xds-server.ts'

export class XdsPart implements LeadingPart {
  readonly pages: readonly AdminPage[]
  private readonly services: FollowedServices
  private readonly rules: RuleGroups
  private readonly access: PortAccess
  private readonly server: XdsServer
  private readonly port: KeptPort
  private readonly rateLimiter: RateLimiter | undefined

  constructor(config: XdsConfig, deps: PartDeps<CenterConfig> & FollowedServicesDeps & Pick<ForeignDeps, 'issuer'>) {
    const { clock, issuer, log, metrics, random } = deps
    const { address, clientCertificates, withoutToken } = config
    this.services = new FollowedServices(deps)
    const { services } = this
    this.rules = new RuleGroups(ruleScope(deps.config), () => this.server.regroup())
    const leftOut = new LeftOutTable(metrics)
    this.pages = [leftOutPage(leftOut)]
    const { clusterDomain } = deps.config.rules
    const rules = this.rules.forAll
    const foreign = new ForeignResources({ clock, clusterDomain, issuer, leftOut, log, random, rules, services })
    this.access = portAccess(config, clock)
    const { rateLimits } = deps.config
    this.rateLimiter = rateLimits === undefined ? undefined : new RateLimiter(rateLimits, { clock, metrics })
    this.server = new XdsServer(
      {
        address: formatHostPort(address),
        ...this.access,
        isOpen: withoutToken === 'read',
        takesCertificates: clientCertificates,
        issuer,
        endpoints: new EndpointSource(services),
        foreign,
        rulesOf: (node) => this.rules.of(node),
        rateLimiter: this.rateLimiter,
      },
      { clock, log, metrics, random },
    )
    this.port = new KeptPort('xds', () => this.server.listen(), deps)
  }

  /** All documents of the store. */
  takeRules(documents: readonly RuleDocument[]): void {
    this.rules.replaceDocuments(documents)
  }

  /** What shares of hosts get instead. */
  takeCandidates(candidates: readonly CandidateRule[]): void {
    this.rules.replaceCandidates(candidates)
  }

  instancesAt(addresses: ReadonlySet<string>): ReturnType<FollowedServices['instancesAt']> {
    return this.services.instancesAt(addresses)
  }

  open(): Promise<void> {
    return this.port.open()
  }

  async close(): Promise<void> {
    this.port.close()
    await this.server.close()
    this.rateLimiter?.close()
    this.services.close()
  }

  faults(): readonly string[] {
    return [this.port.problem, accessProblem('xds', this.access)].flatMap((problem) => problem ?? [])
  }
}
