/** Policies from YAML in front of one application, asked without a worker. */
import { authorizationKind } from '../../agent/worker/filters/authorization/authorization.ts'
import { DecisionCounts } from '../../agent/worker/filters/authorization/decision-counts.ts'
import type { Answer } from '../../agent/worker/filters/answer.ts'
import type { ConnectionFilter, ConnectionRefusal, Filter } from '../../agent/worker/filters/filter.ts'
import type { VerifiedToken } from '../../agent/worker/route/verified-token.ts'
import type { AuthorizationSpec } from '../../contracts/authorization-spec.ts'
import type { PeerIdentity } from '../../contracts/peer-identity.ts'
import { connection, context, inboundApplication, orders, request, rules } from './routing.ts'
import type { RequestTraits } from './routing.ts'
import { noIdentity } from '../../agent/worker/transport/transport.ts'

export interface Asked extends RequestTraits {
  /** `TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT` */
  principal?: string
  token?: VerifiedToken
}

export interface Said {
  readonly isAllowed: boolean
  readonly details: string
  readonly notes: string
}

export class JudgedApplication {
  readonly counts: DecisionCounts = new DecisionCounts()
  readonly filter: Filter & ConnectionFilter

  constructor(spec: AuthorizationSpec) {
    const origin = { kind: 'default', name: '', path: '' }
    this.filter = authorizationKind(this.counts).make(
      { kind: 'authorization' },
      {
        host: 'orders',
        route: { name: 'inbound', origin },
        authentication: undefined,
        authorization: spec,
        responseEdits: null,
        now: 0,
        limitShare: 1,
        counts: undefined as never,
        former: () => undefined,
      },
    )
  }

  ask({ principal, token, ...traits }: Asked = {}): Said {
    const notes: string[] = []
    const view = request({ port: 21_000, from: '10.1.2.3', ...traits })
    const asked = {
      ...context(view),
      peer: peerOf(principal),
      token: token ?? null,
      note: (one: string) => notes.push(one),
    }
    const verdict = this.filter.onRequest(asked) as Answer | null
    return { isAllowed: verdict === null, details: verdict?.details ?? '', notes: notes.join(', ') }
  }

  connect(principal?: string, sourceAddress = '10.1.2.3'): Said {
    const notes: string[] = []
    const verdict: ConnectionRefusal | null = this.filter.onConnection({
      view: connection({ localPort: 21_000, sourceAddress }),
      peer: peerOf(principal),
      now: 0,
      random: () => 0,
      note: (one) => notes.push(one),
    })
    return { isAllowed: verdict === null, details: verdict?.details ?? '', notes: notes.join(', ') }
  }
}

function peerOf(principal: string | undefined): PeerIdentity {
  return principal === undefined ? noIdentity : { kind: 'spiffe', id: `spiffe://${principal}` }
}

/** One AuthorizationPolicy. `spec`: YAML, unindented. */
export function policy(spec: string, name = 'p', namespace = 'public', annotations = ''): string {
  const body = spec
    .trim()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')
  const notes = annotations === '' ? '' : `, annotations: { ${annotations} }`
  return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: ${name}, namespace: ${namespace}${notes} }\nspec:\n${body}\n`
}

/** Policies before the application `orders`, port 8080. */
export function judged(...policies: string[]): JudgedApplication {
  const spec = rules(policies.join('---\n')).inboundVirtualHost(orders, inboundApplication(orders)).authorization
  if (spec === undefined) throw new Error('no policy holds')
  return new JudgedApplication(spec)
}
