/** Whether a token of one issuer is good, by `jose`; what is wrong is said in Envoy's words (its jwt_verify_lib). */
import type * as jose from 'jose'
import { signatureAlgorithms } from '../../../../contracts/authentication-spec.ts'
import type { JwtRuleSpec } from '../../../../contracts/authentication-spec.ts'
import type { VerifiedToken } from '../../route/verified-token.ts'

/** Clocks of hosts differ; Envoy's default. */
const clockToleranceMs = 60_000
/** Deeper payloads are refused. */
const maxDepth = 32

export interface GoodToken {
  readonly token: VerifiedToken
  /** As it stands in the token, base64url. */
  readonly payload: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly rule: JwtRuleSpec
  /** Epoch ms. */
  readonly notBefore: number
  readonly expires: number
}

export interface BadToken {
  readonly status: 401 | 403
  readonly reason: string
}

export const badToken = (reason: string, status: 401 | 403 = 401): BadToken => ({ status, reason })

export class Issuer {
  readonly rule: JwtRuleSpec
  private keys: ReturnType<typeof jose.createLocalJWKSet> | undefined

  constructor(rule: JwtRuleSpec) {
    this.rule = rule
  }

  /** `now`: epoch ms. Never rejects. */
  async verify(text: string, now: number): Promise<GoodToken | BadToken> {
    const { rule } = this
    if (rule.keys === undefined) return badToken('Jwks remote fetch is failed')
    // loaded with the first token: most workers never see one
    const { createLocalJWKSet, errors, jwtVerify } = await import('jose')
    this.keys ??= createLocalJWKSet({ keys: rule.keys.map((key) => ({ ...key, kty: key['kty']! })) })
    try {
      const { payload } = await jwtVerify(text, this.keys, {
        algorithms: [...signatureAlgorithms],
        issuer: rule.issuer,
        clockTolerance: clockToleranceMs / 1000,
        currentDate: new Date(now),
        ...(rule.audiences === undefined ? {} : { audience: [...rule.audiences] }),
      })
      return goodToken(payload, text, rule)
    } catch (error) {
      return refusalOf(error, errors)
    }
  }
}

function goodToken(payload: jose.JWTPayload, text: string, rule: JwtRuleSpec): GoodToken | BadToken {
  const problem = shapeProblem(payload, 0)
  if (problem !== undefined) return badToken(problem)
  const claims = payload as Readonly<Record<string, unknown>>
  const { exp, nbf, sub } = payload
  return {
    token: {
      principal: sub === undefined ? '' : `${rule.issuer}/${sub}`,
      claims: withLists(claims, ['scope', 'permission', ...(rule.spacedClaims ?? [])]),
    },
    payload: text.split('.')[1]!,
    claims,
    rule,
    notBefore: nbf === undefined ? -Infinity : nbf * 1000 - clockToleranceMs,
    expires: exp === undefined ? Infinity : exp * 1000 + clockToleranceMs,
  }
}

/** A payload is data of a stranger until its signature is checked, and of an issuer afterwards: no name does harm. */
function shapeProblem(value: unknown, depth: number): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (depth > maxDepth) return `Jwt payload is deeper than ${maxDepth}`
  if (Object.hasOwn(value, '__proto__')) return 'Jwt has a claim named __proto__'
  for (const one of Object.values(value)) {
    const problem = shapeProblem(one, depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

function withLists(claims: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  const spaced = names.filter((name) => typeof claims[name] === 'string' && (claims[name] as string).includes(' '))
  if (spaced.length === 0) return claims
  return { ...claims, ...Object.fromEntries(spaced.map((name) => [name, (claims[name] as string).split(/ +/)])) }
}

function refusalOf(error: unknown, errors: typeof jose.errors): BadToken {
  if (error instanceof errors.JWTExpired) return badToken('Jwt is expired')
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return badToken('Audiences in Jwt are not allowed', 403)
    if (error.claim === 'nbf') return badToken('Jwt not yet valid')
    return badToken(error.claim === 'iss' ? 'Jwt issuer is not configured' : `Jwt claim ${error.claim} is not good`)
  }
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return badToken("Jwks doesn't have key to match kid or alg from Jwt")
  if (error instanceof errors.JOSEAlgNotAllowed) return badToken('Jwt alg is not allowed')
  if (error instanceof errors.JWSSignatureVerificationFailed) return badToken('Jwt verification fails')
  return badToken('Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections')
}
