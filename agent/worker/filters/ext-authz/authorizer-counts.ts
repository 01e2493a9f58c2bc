/** What external authorizers said: `hostmesh_ext_authz_total{provider,result}`, with Envoy's words for results. */
import { NamedTallies } from '../named-tallies.ts'

export type AuthorizerResult = 'ok' | 'denied' | 'error' | 'timeout' | 'failure_mode_allowed'

export class AuthorizerCounts extends NamedTallies<AuthorizerResult> {
  constructor() {
    super([
      ['ok', 'ok'],
      ['denied', 'denied'],
      ['error', 'error'],
      ['timeout', 'timeout'],
      ['failure_mode_allowed', 'failure_mode_allowed'],
    ])
  }
}
