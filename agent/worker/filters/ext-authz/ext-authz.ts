/**
 * The CUSTOM action of AuthorizationPolicy: requests that a rule of such a policy matches are judged by the external
 * authorizer that it names. Raw connections have no request that could be told: those that a rule matches are refused.
 */
import type { AuthorizationPolicySpec, AuthorizationSpec } from '../../../../contracts/authorization-spec.ts'
import type { PeerIdentity } from '../../../../contracts/peer-identity.ts'
import type { FilterSpec } from '../../../../contracts/route-spec.ts'
import type { ConnectionView, RequestView } from '../../route/request-view.ts'
import { connectionRule } from '../authorization/rule.ts'
import { RuleIndex } from '../authorization/rule-index.ts'
import { Subject } from '../authorization/subject.ts'
import type {
  ConnectionContext,
  ConnectionFilter,
  ConnectionRefusal,
  Filter,
  FilterContext,
  FilterVerdict,
} from '../filter.ts'
import type { FilterKind } from '../kind.ts'
import { ExternalAuthorizer } from './external-authorizer.ts'
import type { AuthorizerDeps } from './external-authorizer.ts'
import { unjudged } from './verdict.ts'

type Entry = Extract<FilterSpec, { kind: 'ext-authz' }>

const refusedConnection: ConnectionRefusal = {
  kind: 'answer',
  flag: 'UAEX',
  code: 'E_AUTHORIZATION_DENIED',
  details: 'ext_authz_denied',
}

export function extAuthzKind(deps: AuthorizerDeps): FilterKind<Entry, Filter & ConnectionFilter> {
  return {
    kind: 'ext-authz',
    make: ({ authorizer, provider }, { authorization }) =>
      new ExtAuthz(
        provider,
        authorizer === undefined ? undefined : new ExternalAuthorizer(authorizer, deps),
        authorization ?? { trustDomain: '', policies: [] },
      ),
  }
}

class ExtAuthz implements Filter, ConnectionFilter {
  readonly kind = 'ext-authz'
  private readonly provider: string
  /** undefined: this host's configuration does not name it. */
  private readonly authorizer: ExternalAuthorizer | undefined
  private readonly subject: Subject
  private readonly requests: RuleIndex
  private readonly connections: RuleIndex

  constructor(provider: string, authorizer: ExternalAuthorizer | undefined, spec: AuthorizationSpec) {
    this.provider = provider
    this.authorizer = authorizer
    this.subject = new Subject(spec)
    const rules = spec.policies.filter((one) => isAsking(one, provider)).flatMap((one) => one.rules)
    this.requests = new RuleIndex(rules, true)
    this.connections = new RuleIndex(
      rules.flatMap((rule) => connectionRule(rule, true) ?? []),
      true,
    )
  }

  onRequest(context: FilterContext): FilterVerdict {
    const { authorizer, requests, subject } = this
    subject.takeRequest(context.edited, context.peer, context.token)
    if (requests.find(subject) < 0) return null
    return authorizer === undefined ? unjudged(403) : authorizer.judge(context)
  }

  onConnection({ peer, view }: ConnectionContext): ConnectionRefusal | null {
    this.subject.takeConnection(view, peer)
    return this.connections.find(this.subject) < 0 ? null : refusedConnection
  }

  explain(view: RequestView, peer: PeerIdentity): string {
    const { authorizer, provider, requests, subject } = this
    subject.takeRequest(view, peer, null)
    if (requests.find(subject) < 0) return `does not ask ${provider}: no rule of a CUSTOM policy matches`
    if (authorizer === undefined) return `refuses: rules.extensionProviders names no ${provider}`
    const { failOpen, service, statusOnError } = authorizer.spec
    return `asks ${provider} (${service}); without its word the request ${failOpen ? 'goes on' : `gets ${statusOnError}`}`
  }

  explainConnection(view: ConnectionView, peer: PeerIdentity): string {
    this.subject.takeConnection(view, peer)
    if (this.connections.find(this.subject) < 0) return 'no rule of a CUSTOM policy matches'
    return `refuses: ${this.provider} judges requests, not raw connections`
  }
}

function isAsking({ action, isDryRun, provider }: AuthorizationPolicySpec, name: string): boolean {
  return action === 'CUSTOM' && isDryRun !== true && provider === name
}
