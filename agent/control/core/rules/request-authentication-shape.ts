/** Istio's RequestAuthentication (security.istio.io/v1). */
import * as z from 'zod'
import { readKeys } from '../keys/read-keys.ts'
import { checked, duration, flag, leaf, list, matchedHeaderName, nonEmptyList, text } from './fields.ts'
import { headerNameProblem } from './header-rules.ts'
import { workloadScopeFields, workloadScopeProblem } from './workload-scope-shape.ts'

const httpUrl = () =>
  leaf('a URL of http or https without user and password', (value) => {
    if (typeof value !== 'string' || value.length > 2048 || !URL.canParse(value)) return undefined
    const { password, protocol, username } = new URL(value)
    const isGood = (protocol === 'https:' || protocol === 'http:') && username === '' && password === ''
    return isGood ? value : undefined
  })

const inlineKeys = () =>
  checked((value) => {
    const read = typeof value === 'string' ? readKeys(value) : { problem: 'found no text, allowed a JWKS' }
    return 'problem' in read ? read : { value: read.keys }
  })

/** A field that we write; what a caller sends under its name is taken away. */
const writtenHeader = () =>
  checked((value) => {
    const problem = headerNameProblem(value)
    return problem === undefined ? { value: String(value).toLowerCase() } : { problem }
  })

const paramName = () =>
  leaf('a name of 1 to 256 characters without = & ; and spaces', (value) =>
    typeof value === 'string' && /^[^=&;,\s]{1,256}$/.test(value) ? value : undefined,
  )

const claimPath = () =>
  leaf('a claim like sub, or realm.role for one inside another', (value) => {
    const parts = typeof value === 'string' && value.length <= 512 ? value.split('.') : []
    return parts.length > 0 && parts.every((part) => part !== '' && part !== '__proto__') ? parts : undefined
  })

const jwtRule = () =>
  z
    .strictObject({
      issuer: text(1, 2048),
      audiences: nonEmptyList(text(1, 2048), 100).optional(),
      jwksUri: httpUrl().optional(),
      jwks: inlineKeys().optional(),
      fromHeaders: nonEmptyList(
        z.strictObject({ name: matchedHeaderName(), prefix: text(0, 256).optional() }),
        20,
      ).optional(),
      fromParams: nonEmptyList(paramName(), 20).optional(),
      fromCookies: nonEmptyList(paramName(), 20).optional(),
      outputPayloadToHeader: writtenHeader().optional(),
      outputClaimToHeaders: nonEmptyList(
        z.strictObject({ header: writtenHeader(), claim: claimPath() }),
        50,
      ).optional(),
      forwardOriginalToken: flag().optional(),
      timeout: duration().optional(),
      spaceDelimitedClaims: nonEmptyList(text(1, 256), 20).optional(),
    })
    .superRefine((rule, context) => {
      if (rule.jwks !== undefined && rule.jwksUri !== undefined)
        context.addIssue('found jwksUri and jwks, allowed one of them')
      if (rule.jwks === undefined && rule.jwksUri === undefined && !isUrl(rule.issuer))
        context.addIssue('found neither jwksUri nor jwks, allowed one of them, or an issuer that is a URL to ask')
    })

function isUrl(issuer: unknown): boolean {
  return typeof issuer === 'string' && /^https?:\/\//.test(issuer) && URL.canParse(issuer)
}

export const requestAuthenticationShape = () =>
  z
    .strictObject({ ...workloadScopeFields(), jwtRules: list(jwtRule(), 20).optional() })
    .superRefine(workloadScopeProblem)

export type RequestAuthenticationSpec = z.output<ReturnType<typeof requestAuthenticationShape>>
