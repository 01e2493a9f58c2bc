/**
 * Authorization, as control hands it to workers: the policies that hold for one virtual host. Plain data, safe as JSON.
 * The words and their meaning are those of Istio's AuthorizationPolicy (its reference, "Authorization Policy" and
 * "Authorization Policy Conditions"). A value is exact text, `prefix*`, `*suffix`, or `*` for anything that is there;
 * a path may be a template with `{*}` (one segment) and `{**}` (any rest).
 */

export interface AuthorizationSpec {
  /** Of identities that the kernel's word about a local user gives: `TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT`. */
  readonly trustDomain: string
  /** Inbound: the port of the application, and the address by which other hosts know it. */
  readonly destination?: { readonly address: string; readonly port: number }
  /** By `namespace/name`, at most 10,000. */
  readonly policies: readonly AuthorizationPolicySpec[]
}

export type AuthorizationAction = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM'

export interface AuthorizationPolicySpec {
  readonly namespace: string
  readonly name: string
  readonly action: AuthorizationAction
  /** It is judged and told, and decides nothing. */
  readonly isDryRun?: true
  /** Of CUSTOM: who is asked about what its rules match. */
  readonly provider?: string
  /** Any of them; none = the policy matches nothing. */
  readonly rules: readonly AuthorizationRuleSpec[]
}

/** All of what is given: any of `from`, any of `to`, every one of `when`. */
export interface AuthorizationRuleSpec {
  readonly from?: readonly SourceMatchSpec[]
  readonly to?: readonly OperationMatchSpec[]
  readonly when?: readonly ConditionSpec[]
}

type Values = readonly string[]

/** All of the given fields. */
export interface SourceMatchSpec {
  readonly principals?: Values
  readonly notPrincipals?: Values
  /** `ISSUER/SUBJECT` of a token. */
  readonly requestPrincipals?: Values
  readonly notRequestPrincipals?: Values
  readonly namespaces?: Values
  readonly notNamespaces?: Values
  /** `NAMESPACE/ACCOUNT` */
  readonly serviceAccounts?: Values
  readonly notServiceAccounts?: Values
  /** CIDR networks or addresses. */
  readonly ipBlocks?: Values
  readonly notIpBlocks?: Values
  readonly remoteIpBlocks?: Values
  readonly notRemoteIpBlocks?: Values
}

/** All of the given fields. */
export interface OperationMatchSpec {
  readonly hosts?: Values
  readonly notHosts?: Values
  readonly ports?: Values
  readonly notPorts?: Values
  readonly methods?: Values
  readonly notMethods?: Values
  readonly paths?: Values
  readonly notPaths?: Values
}

export interface ConditionSpec {
  /** `request.headers[name]`, `source.ip`, `request.auth.claims[a][b]` … */
  readonly key: string
  readonly values?: Values
  readonly notValues?: Values
}
