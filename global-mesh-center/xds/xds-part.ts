/** Discovery for agents: the endpoints that this center's registries know and the rules that it keeps, at a port. */
import { ruleScope } from '../../agent/control/config/rule-scope.ts'
import { formatHostPort } from '../../agent/control/config/scalars.ts'
import type { RuleDocument } from '../../agent/control/core/rules/types.ts'
import { KeptPort } from '../../agent/control/kept-port.ts'
import type { LeadingPart, PartDeps } from '../../agent/control/leading-part.ts'
import type { CenterConfig, XdsConfig } from '../config/types.ts'
import { accessProblem, portAccess, type PortAccess } from '../port-access.ts'
import { EndpointSource, type EndpointSourceDeps } from './endpoint-source.ts'
import { RuleGroups, type CandidateRule } from './rule-groups.ts'
import { XdsServer } from './xds-server.ts'

export class XdsPart implements LeadingPart {
  private readonly endpoints: EndpointSource
  private readonly rules: RuleGroups
  private readonly access: PortAccess
  private readonly server: XdsServer
  private readonly port: KeptPort

  constructor(config: XdsConfig, deps: PartDeps<CenterConfig> & EndpointSourceDeps) {
    const { clock, log, metrics, random } = deps
    const { address, withoutToken } = config
    this.endpoints = new EndpointSource(deps)
    this.rules = new RuleGroups(ruleScope(deps.config), () => this.server.regroup())
    this.access = portAccess(config, clock)
    this.server = new XdsServer(
      {
        address: formatHostPort(address),
        ...this.access,
        isOpen: withoutToken === 'read',
        endpoints: this.endpoints,
        rulesOf: (node) => this.rules.of(node),
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

  instancesAt(addresses: ReadonlySet<string>): ReturnType<EndpointSource['instancesAt']> {
    return this.endpoints.instancesAt(addresses)
  }

  open(): Promise<void> {
    return this.port.open()
  }

  async close(): Promise<void> {
    this.port.close()
    await this.server.close()
    this.endpoints.close()
  }

  faults(): readonly string[] {
    return [this.port.problem, accessProblem('xds', this.access)].flatMap((problem) => problem ?? [])
  }
}
