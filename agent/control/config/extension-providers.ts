/**
 * `rules.extensionProviders`: external authorizers and rate-limit services, in the words of Istio's mesh configuration
 * (`meshConfig.extensionProviders`).
 */
import * as z from 'zod'
import type { RateLimitServiceSpec } from '../../../contracts/global-rate-limit-spec.ts'
import { rateLimitHostField } from '../../../contracts/rate-limit-wire.ts'
import type { ExternalAuthorizerSpec } from '../../../contracts/external-authorizer-spec.ts'
import { parseHostName } from '../core/rules/rule-host.ts'
import type { HostScope } from '../core/rules/rule-host.ts'
import { duration, flag, httpPath, integer, leaf, plainName, port, text, textMap } from './scalars.ts'

const pattern = () =>
  leaf('a field name, or one with * at its beginning or its end', (value) =>
    typeof value === 'string' &&
    /^(?:\*|\*?[!#$%&'+.^_`|~0-9A-Za-z-]{1,256}|[!#$%&'+.^_`|~0-9A-Za-z-]{1,256}\*)$/.test(value)
      ? value
      : undefined,
  )

const patterns = () => z.array(pattern()).max(100).prefault([])

const statusText = () =>
  leaf('a status from 400 to 599, as a number or as text', (value) => {
    const status = Number(value)
    return (typeof value === 'string' || typeof value === 'number') &&
      Number.isInteger(status) &&
      status >= 400 &&
      status <= 599
      ? status
      : undefined
  })

const shared = () => ({
  service: text(1, 512).describe(
    'Its service, as a rule names a host: `opa`, `opa.prod.svc.cluster.local`, or the host of a ServiceEntry.',
  ),
  port: port().optional().describe('Only endpoints with this port; absent = all.'),
  timeout: duration('1ms', '60s').prefault('1s').describe('Of one question with its answer.'),
  failOpen: flag().prefault(false).describe('Requests go on while it gives no verdict; otherwise they are refused.'),
  statusOnError: statusText().prefault('403').describe('Of the answer to a request that could not be judged.'),
})

const content = z.strictObject({
  maxRequestBytes: integer(1, 65_536).describe('So many bytes at most.'),
  allowPartialMessage: flag()
    .prefault(false)
    .describe('Of longer content the first bytes are told; otherwise such requests are refused with 413.'),
})

const grpcAuthorizer = z.strictObject({
  ...shared(),
  includeRequestBodyInCheck: content
    .extend({ packAsBytes: flag().prefault(false).describe('As `raw_body`, otherwise as text in `body`.') })
    .optional()
    .describe('It is told the content of requests, which waits meanwhile.'),
})

const httpAuthorizer = z.strictObject({
  ...shared(),
  includeRequestBodyInCheck: content.optional().describe('It is told the content of requests, which waits meanwhile.'),
  pathPrefix: httpPath().optional().describe('In front of the path of the request.'),
  includeRequestHeadersInCheck: patterns().describe(
    'Fields of the request that it is told, beside Host and Authorization.',
  ),
  includeAdditionalHeadersInCheck: textMap().prefault({}).describe('Fields that it is told besides; they win.'),
  headersToUpstreamOnAllow: patterns().describe(
    "Fields of its answer that the application gets, in place of the caller's.",
  ),
  headersToDownstreamOnAllow: patterns().describe('Fields of its answer that the caller gets with the reply.'),
  headersToDownstreamOnDeny: patterns().describe('Fields of its refusal that the caller gets; none = all.'),
})

const rateLimitService = z.strictObject({
  service: text(1, 512).describe('Its service, as a rule names a host.'),
  port: port().optional().describe('Only endpoints with this port; absent = all.'),
  timeout: duration('1ms', '10s').prefault('100ms').describe('Of one question with its answer.'),
  failureModeDeny: flag()
    .prefault(false)
    .describe(
      'While it gives no answer, requests about which no limit is known are refused with 500; otherwise they pass.',
    ),
  localShare: integer(1, 100)
    .optional()
    .describe(
      'Percent of each limit that this host applies by itself meanwhile; absent = its part of as many hosts as the service said that there are.',
    ),
  initialMetadata: textMap().prefault({}).describe('Fields of each question, such as `authorization`.'),
})

export const extensionProviders = () =>
  z
    .array(
      z
        .strictObject({
          name: plainName('a name').describe('By which policies name it (`provider.name`).'),
          envoyExtAuthzGrpc: grpcAuthorizer
            .optional()
            .describe("It speaks Envoy's `envoy.service.auth.v3.Authorization`."),
          envoyExtAuthzHttp: httpAuthorizer
            .optional()
            .describe('It judges the head of the request, asked again of it: 200 allows.'),
          envoyRateLimitGrpc: rateLimitService
            .optional()
            .describe(
              "It speaks Envoy's `envoy.service.ratelimit.v3.RateLimitService` ([rate-limits.md](rate-limits.md)).",
            ),
        })
        .superRefine((one, context) => {
          const given = [one.envoyExtAuthzGrpc, one.envoyExtAuthzHttp, one.envoyRateLimitGrpc]
          if (given.filter((kind) => kind !== undefined).length !== 1)
            context.addIssue('allowed exactly one of envoyExtAuthzGrpc, envoyExtAuthzHttp and envoyRateLimitGrpc')
        }),
    )
    .max(100)
    .superRefine((list, context) => {
      for (const [at, { name }] of list.entries())
        if (list.findIndex((one) => one.name === name) < at)
          context.addIssue({ code: 'custom', path: [at, 'name'], message: 'there before' })
    })
    .prefault([])
    .describe(
      'Who may judge requests for CUSTOM policies ([authorization.md](authorization.md#asked-outside)), and who counts limits that hosts share ([rate-limits.md](rate-limits.md)).',
    )

export type ExtensionProviders = z.output<ReturnType<typeof extensionProviders>>

function contentOf(
  said: (z.output<typeof content> & { readonly packAsBytes?: boolean }) | undefined,
): Pick<ExternalAuthorizerSpec, 'content'> {
  if (said === undefined) return {}
  const { allowPartialMessage, maxRequestBytes, packAsBytes = false } = said
  return { content: { maxBytes: maxRequestBytes, allowsPartial: allowPartialMessage, isRaw: packAsBytes } }
}

/** By name. A service that reads as none leaves its provider out, so that what is for it is refused. */
export function authorizersOf(
  providers: ExtensionProviders,
  scope: HostScope,
): ReadonlyMap<string, ExternalAuthorizerSpec> {
  const found = new Map<string, ExternalAuthorizerSpec>()
  for (const { envoyExtAuthzGrpc: grpc, envoyExtAuthzHttp: http, name } of providers) {
    const given = grpc ?? http
    if (given === undefined) continue
    const service = parseHostName(given.service, scope, scope)
    if (service === undefined) continue
    const { failOpen, port: only, statusOnError, timeout: timeoutMs } = given
    found.set(name, {
      name,
      service,
      ...(only === undefined ? {} : { port: only }),
      timeoutMs,
      failOpen,
      statusOnError,
      ...contentOf(given.includeRequestBodyInCheck),
      call:
        http === undefined
          ? { kind: 'grpc' }
          : {
              kind: 'http',
              pathPrefix: (http.pathPrefix ?? '').replace(/\/$/, ''),
              requestFields: http.includeRequestHeadersInCheck,
              moreFields: http.includeAdditionalHeadersInCheck,
              upstreamOnAllow: http.headersToUpstreamOnAllow,
              downstreamOnDeny: http.headersToDownstreamOnDeny,
              ...(http.headersToDownstreamOnAllow.length === 0
                ? {}
                : { downstreamOnAllow: http.headersToDownstreamOnAllow }),
            },
    })
  }
  return found
}

/** By name, for the host of this name. A service that reads as none leaves its provider out. */
export function rateLimitServicesOf(
  providers: ExtensionProviders,
  scope: HostScope,
  host: string,
): ReadonlyMap<string, RateLimitServiceSpec> {
  const found = new Map<string, RateLimitServiceSpec>()
  for (const { envoyRateLimitGrpc: given, name } of providers) {
    if (given === undefined) continue
    const service = parseHostName(given.service, scope, scope)
    if (service === undefined) continue
    const { failureModeDeny, initialMetadata, localShare, port: only, timeout: timeoutMs } = given
    const said = Object.entries(initialMetadata).map(([field, value]) => [field.toLowerCase(), value])
    found.set(name, {
      name,
      service,
      ...(only === undefined ? {} : { port: only }),
      timeoutMs,
      failureModeDeny,
      ...(localShare === undefined ? {} : { localShare: localShare / 100 }),
      metadata: { [rateLimitHostField]: host, ...Object.fromEntries(said) },
    })
  }
  return found
}
