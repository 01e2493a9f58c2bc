/**
 * Tokens of end users, as control hands their rules to workers: for one virtual host, plain data, safe as JSON. The
 * words and their meaning are those of Istio's RequestAuthentication. Keys are public ones.
 */

export interface AuthenticationSpec {
  /** At most 100. */
  readonly rules: readonly JwtRuleSpec[]
}

export interface JwtRuleSpec {
  /** `namespace/name` of the RequestAuthentication. */
  readonly policy: string
  readonly issuer: string
  /** A token needs one of them; absent = any. */
  readonly audiences?: readonly string[]
  /** Absent: nobody could get them yet, and no token of the issuer is good. */
  readonly keys?: readonly PublicKeySpec[]
  /** Names in lower case. What stands before the token in the value is `prefix`. */
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[]
  readonly fromParams: readonly string[]
  readonly fromCookies: readonly string[]
  /** The token goes on to the application. */
  readonly forwardsToken?: true
  /** Name of the field that gets the payload in base64url. */
  readonly payloadHeader?: string
  readonly claimHeaders?: readonly { readonly header: string; readonly claim: readonly string[] }[]
  /** Claims whose text is a list with spaces between, beside `scope` and `permission`. */
  readonly spacedClaims?: readonly string[]
}

/** A public key in JWK form (RFC 7517): RSA, EC or OKP. */
export type PublicKeySpec = Readonly<Record<string, string>>

/** Signatures that are taken; none of them is made with a shared secret. */
export const signatureAlgorithms: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
]
