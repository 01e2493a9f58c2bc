/**
 * Authorization: the policies of a virtual host (`contracts/authorization-spec.ts`), asked once per request or raw
 * connection. What is refused gets 403 `RBAC: access denied`, a call of gRPC PERMISSION_DENIED, a connection a reset;
 * the log gets the policy and its rule in Envoy's words.
 */
import type { AuthorizationSpec } from '../../../../contracts/authorization-spec.ts'
import { MeshError } from '../../../../contracts/errors.ts'
import type { PeerIdentity } from '../../../../contracts/peer-identity.ts'
import type { FilterSpec } from '../../../../contracts/route-spec.ts'
import type { ConnectionView, RequestView } from '../../route/request-view.ts'
import { plainText } from '../answer.ts'
import type { Answer } from '../answer.ts'
import type {
  ConnectionContext,
  ConnectionFilter,
  ConnectionRefusal,
  Filter,
  FilterContext,
  FilterVerdict,
} from '../filter.ts'
import type { FilterKind, FilterPlace } from '../kind.ts'
import type { DecisionCounts } from './decision-counts.ts'
import { PolicySet } from './policy-set.ts'
import type { Finding, Judgement } from './policy-set.ts'

type Entry = Extract<FilterSpec, { kind: 'authorization' }>

const body = Buffer.from('RBAC: access denied', 'utf8')

export function authorizationKind(counts: DecisionCounts): FilterKind<Entry, Filter & ConnectionFilter> {
  // routes of a virtual host share its policies
  const sets = new WeakMap<AuthorizationSpec, { requests?: PolicySet; connections?: PolicySet }>()
  const setOf = (spec: AuthorizationSpec, kind: 'requests' | 'connections'): PolicySet => {
    const known = sets.get(spec) ?? {}
    sets.set(spec, known)
    known[kind] ??= new PolicySet(spec, kind === 'connections', counts)
    return known[kind]
  }
  return {
    kind: 'authorization',
    make(_entry, place) {
      const spec = policiesOf(place)
      return new Authorization(
        () => setOf(spec, 'requests'),
        () => setOf(spec, 'connections'),
      )
    },
  }
}

function policiesOf({ authorization, host, route }: FilterPlace): AuthorizationSpec {
  if (authorization !== undefined) return authorization
  throw new MeshError('E_SNAPSHOT_CORRUPT', `route ${route.name} of ${host} is to be authorized, by no policies`)
}

class Authorization implements Filter, ConnectionFilter {
  readonly kind = 'authorization'
  private readonly setOfRequests: () => PolicySet
  private readonly setOfConnections: () => PolicySet
  private requests: PolicySet | undefined
  private readonly refusals = new Map<string, Answer>()

  constructor(setOfRequests: () => PolicySet, setOfConnections: () => PolicySet) {
    this.setOfRequests = setOfRequests
    this.setOfConnections = setOfConnections
  }

  onRequest(context: FilterContext): FilterVerdict {
    const set = (this.requests ??= this.setOfRequests())
    set.subject.takeRequest(context.edited, context.peer, context.token)
    const judgement = set.judge()
    set.count(judgement)
    if (judgement.notes.length > 0) context.note(judgement.notes.map(noteText).join(', '))
    return judgement.isAllowed ? null : this.refusal(detailsOf(judgement))
  }

  onConnection({ note, peer, view }: ConnectionContext): ConnectionRefusal | null {
    const set = this.setOfConnections()
    set.subject.takeConnection(view, peer)
    const judgement = set.judge()
    set.count(judgement)
    if (judgement.notes.length > 0) note(judgement.notes.map(noteText).join(', '))
    if (judgement.isAllowed) return null
    return { kind: 'answer', flag: '-', code: 'E_AUTHORIZATION_DENIED', details: detailsOf(judgement) }
  }

  explain(view: RequestView, peer: PeerIdentity): string {
    const set = this.setOfRequests()
    set.subject.takeRequest(view, peer, null)
    return explained(set)
  }

  explainConnection(view: ConnectionView, peer: PeerIdentity): string {
    const set = this.setOfConnections()
    set.subject.takeConnection(view, peer)
    return explained(set)
  }

  /** The same answer for the same reason, so that a codec writes it once. */
  private refusal(details: string): Answer {
    let answer = this.refusals.get(details)
    if (answer === undefined) {
      answer = {
        kind: 'answer',
        status: 403,
        code: 'E_AUTHORIZATION_DENIED',
        flag: '-',
        fields: plainText,
        body,
        details,
      }
      this.refusals.set(details, answer)
    }
    return answer
  }
}

function explained(set: PolicySet): string {
  const { decisive, isAllowed, notes } = set.judge()
  const who = set.subject.principal === '' ? 'a caller that nobody knows' : set.subject.principal
  const text =
    decisive === undefined
      ? `allows ${who}: no policy denies, and none says who is allowed`
      : `${isAllowed ? 'allows' : 'denies'} ${who}: ${reason(decisive)}`
  return [text, ...notes.map(noteText)].join('; ')
}

function reason({ action, match }: Finding): string {
  return match === undefined ? 'no ALLOW policy matches' : `${action} policy ${matchText({ match })}`
}

/** As Envoy's RBAC filter says it. */
function detailsOf({ decisive }: Judgement): string {
  return `rbac_access_denied_matched_policy[${decisive?.match === undefined ? 'none' : matchText(decisive)}]`
}

function matchText({ match }: Pick<Finding, 'match'>): string {
  if (match === undefined) return 'none'
  const { policy, rule } = match
  return `ns[${policy.namespace}]-policy[${policy.name}]-rule[${rule}]`
}

function noteText(finding: Finding): string {
  const { action, isDryRun, match } = finding
  const word = action === 'AUDIT' ? 'audit' : action === 'ALLOW' && match !== undefined ? 'would-allow' : 'would-deny'
  return `${isDryRun && action === 'AUDIT' ? 'would-audit' : word}[${matchText(finding)}]`
}
