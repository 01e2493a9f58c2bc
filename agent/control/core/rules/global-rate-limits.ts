/** `globalRateLimits` of MeshPolicies: their shape, in Envoy's words, and what they are on a route. */
import * as z from 'zod'
import type { DescriptorActionSpec, RateLimitServiceSpec } from '../../../../contracts/global-rate-limit-spec.ts'
import type { FilterSpec } from '../../../../contracts/route-spec.ts'
import {
  flag,
  headerMap,
  integer,
  leaf,
  matchedHeaderName,
  nonEmptyList,
  oneOf,
  presenceMatch,
  text,
} from './fields.ts'

const key = () => text(1, 256)

const limitedHeaderName = () =>
  leaf('a header name, or one of :path, :method, :authority and :scheme', (value) =>
    typeof value === 'string' && /^(?::(?:path|method|authority|scheme)|[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256})$/.test(value)
      ? value.toLowerCase()
      : undefined,
  )

const action = () =>
  z
    .strictObject({
      genericKey: z.strictObject({ descriptorKey: key().optional(), descriptorValue: key() }).optional(),
      requestHeaders: z
        .strictObject({ headerName: limitedHeaderName(), descriptorKey: key(), skipIfAbsent: flag().optional() })
        .optional(),
      remoteAddress: z.strictObject({}).optional(),
      sourceCluster: z.strictObject({}).optional(),
      headerValueMatch: z
        .strictObject({
          descriptorKey: key().optional(),
          descriptorValue: key(),
          expectMatch: flag().optional(),
          headers: headerMap(matchedHeaderName(), presenceMatch()),
        })
        .optional(),
    })
    .superRefine((one, context) => {
      if (Object.keys(one).length !== 1)
        context.addIssue(
          'allowed exactly one of genericKey, requestHeaders, remoteAddress, sourceCluster and headerValueMatch',
        )
    })

export const globalRateLimit = () =>
  z.strictObject({
    name: text(1, 128),
    provider: text(1, 256),
    domain: key(),
    routes: nonEmptyList(text(1, 256)).optional(),
    side: oneOf('Outbound', 'Inbound').optional(),
    hitsAddend: integer(1, 1_000_000).optional(),
    descriptors: nonEmptyList(z.strictObject({ actions: nonEmptyList(action(), 16) }), 16),
  })

type Limit = z.output<ReturnType<typeof globalRateLimit>>
type Action = Limit['descriptors'][number]['actions'][number]
type Entry = Extract<FilterSpec, { readonly kind: 'global-rate-limit' }>

export interface LimitingPolicy {
  readonly namespace: string
  readonly name: string
  readonly spec: { readonly globalRateLimits?: readonly Limit[] | undefined }
  origin(path: string): Entry['origin']
}

/** By the names of providers. */
export type RateLimitServices = ReadonlyMap<string, RateLimitServiceSpec>

export function globalLimitsOf(
  policy: LimitingPolicy,
  route: string,
  services: RateLimitServices,
  side: 'Outbound' | 'Inbound',
): Entry[] {
  return (policy.spec.globalRateLimits ?? []).flatMap((limit, index): Entry[] => {
    if ((limit.side ?? 'Outbound') !== side || limit.routes?.includes(route) === false) return []
    const service = services.get(limit.provider)
    return [
      {
        kind: 'global-rate-limit',
        name: `${policy.namespace}/${policy.name}/${limit.name}`,
        provider: limit.provider,
        ...(service === undefined ? {} : { service }),
        domain: limit.domain,
        hitsAddend: limit.hitsAddend ?? 1,
        descriptors: limit.descriptors.map(({ actions }) => actions.map(actionOf)),
        ...(side === 'Inbound' ? { bySourceHeader: true } : {}),
        origin: policy.origin(`spec.globalRateLimits[${index}]`),
      },
    ]
  })
}

/** The shape lets exactly one through. */
function actionOf({ genericKey, headerValueMatch, remoteAddress, requestHeaders }: Action): DescriptorActionSpec {
  if (genericKey !== undefined) {
    const { descriptorKey, descriptorValue } = genericKey
    return { kind: 'generic-key', key: descriptorKey ?? 'generic_key', value: descriptorValue }
  }
  if (requestHeaders !== undefined) {
    const { descriptorKey, headerName, skipIfAbsent = false } = requestHeaders
    return { kind: 'request-headers', key: descriptorKey, name: headerName, skipIfAbsent }
  }
  if (headerValueMatch !== undefined) {
    const { descriptorKey, descriptorValue, expectMatch = true, headers } = headerValueMatch
    return {
      kind: 'header-value-match',
      key: descriptorKey ?? 'header_match',
      value: descriptorValue,
      expectMatch,
      headers,
    }
  }
  return { kind: remoteAddress === undefined ? 'source-cluster' : 'remote-address' }
}
