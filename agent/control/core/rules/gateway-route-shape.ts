/**
 * HTTPRoute, GRPCRoute and TCPRoute of the Gateway API (gateway.networking.k8s.io) with a Service as parent (GAMMA):
 * routes of the mesh. Every field of them is implemented or refused by name; parents that are no Service say nothing
 * here.
 */
import * as z from 'zod'
import {
  asDoneAnyway,
  decidesNothing,
  duration,
  integer,
  isAuthority,
  leaf,
  list,
  matchedHeaderName,
  nonEmptyList,
  notImplemented,
  oneOf,
  port,
  regex,
  serviceHost,
  text,
} from './fields.ts'
import { headerNameProblem, headerValueProblem } from './header-rules.ts'

const parentRef = () =>
  z.strictObject({
    group: text(0, 253).optional(),
    kind: text(1, 63).optional(),
    namespace: text(1, 253).optional(),
    name: serviceHost(),
    port: port().optional(),
    sectionName: notImplemented('use port'),
  })

export type ParentRef = z.output<ReturnType<typeof parentRef>>

/** Without group and kind a parent is a Gateway, as the Gateway API has it. */
export function isService({ group, kind }: Pick<ParentRef, 'group' | 'kind'>): boolean {
  return kind === 'Service' && (group === undefined || group === '' || group === 'core')
}

const parentRefs = () =>
  nonEmptyList(parentRef(), 32).superRefine((parents, context) => {
    if (!parents.some(isService))
      context.addIssue(
        'found no parent of kind Service, allowed at least one; gateways are not implemented by this version',
      )
  })

const fields = (map: string) =>
  list(z.strictObject({ name: text(1, 256), value: text(0, 4096) }), 16)
    .superRefine((edits, context) => {
      for (const { name, value } of edits) {
        const problem = headerNameProblem(name) ?? headerValueProblem(value)
        if (problem !== undefined) context.addIssue(`${map}: ${problem}`)
      }
    })
    .optional()

const headerModifier = () =>
  z.strictObject({
    set: fields('set'),
    add: fields('add'),
    remove: list(
      leaf('a header name that may be edited', (value) =>
        headerNameProblem(value) === undefined ? String(value) : undefined,
      ),
      16,
    ).optional(),
  })

const path = () =>
  leaf('a path that begins with /', (value) =>
    typeof value === 'string' && /^\/[\x21-\x22\x24-\x3e\x40-\x5b\x5d-\x7e]{0,1023}$/.test(value) ? value : undefined,
  )

const pathModifier = () =>
  z
    .strictObject({
      type: oneOf('ReplaceFullPath', 'ReplacePrefixMatch'),
      replaceFullPath: path().optional(),
      replacePrefixMatch: path().optional(),
    })
    .superRefine((modifier, context) => {
      const wanted = modifier.type === 'ReplaceFullPath' ? 'replaceFullPath' : 'replacePrefixMatch'
      if (modifier[wanted] === undefined || Object.keys(modifier).length !== 2)
        context.addIssue(`type ${modifier.type}, allowed beside it exactly ${wanted}`)
    })

const hostName = () => leaf('a host name', (value) => (isAuthority(value) ? value : undefined))

const backend = () => ({
  group: asDoneAnyway('only services can be led to', '', 'core'),
  kind: asDoneAnyway('only services can be led to', 'Service'),
  namespace: text(1, 253).optional(),
  name: serviceHost(),
  port: port().optional(),
})

const weighted = () => ({ ...backend(), weight: integer(0, 1_000_000).optional() })

const filter = () =>
  z
    .strictObject({
      type: oneOf(
        'RequestHeaderModifier',
        'ResponseHeaderModifier',
        'RequestMirror',
        'RequestRedirect',
        'URLRewrite',
        'ExtensionRef',
        'CORS',
      ),
      requestHeaderModifier: headerModifier().optional(),
      responseHeaderModifier: headerModifier().optional(),
      requestMirror: z
        .strictObject({
          backendRef: z.strictObject(backend()),
          percent: integer(0, 100).optional(),
          fraction: z
            .strictObject({ numerator: integer(0, 2 ** 31 - 1), denominator: integer(1, 2 ** 31 - 1).optional() })
            .optional(),
        })
        .optional(),
      requestRedirect: z
        .strictObject({
          scheme: oneOf('http', 'https').optional(),
          hostname: hostName().optional(),
          path: z
            .strictObject({
              type: asDoneAnyway('the path is replaced whole', 'ReplaceFullPath'),
              replaceFullPath: path(),
              replacePrefixMatch: notImplemented('use replaceFullPath'),
            })
            .optional(),
          port: port().optional(),
          statusCode: leaf('301, 302, 303, 307 or 308', (value) =>
            [301, 302, 303, 307, 308].includes(value as number) ? (value as number) : undefined,
          ).optional(),
        })
        .optional(),
      urlRewrite: z.strictObject({ hostname: hostName().optional(), path: pathModifier().optional() }).optional(),
      extensionRef: notImplemented(),
      cors: notImplemented('use corsPolicy of a VirtualService'),
      externalAuth: notImplemented(),
    })
    .superRefine(hasItsField)

/** Of one backend: headers alone. */
const backendFilter = () =>
  z
    .strictObject({
      type: oneOf('RequestHeaderModifier', 'ResponseHeaderModifier'),
      requestHeaderModifier: headerModifier().optional(),
      responseHeaderModifier: headerModifier().optional(),
      requestMirror: notImplemented('use it as a filter of the rule'),
      requestRedirect: notImplemented('use it as a filter of the rule'),
      urlRewrite: notImplemented('use it as a filter of the rule'),
      extensionRef: notImplemented(),
      cors: notImplemented('use corsPolicy of a VirtualService'),
      externalAuth: notImplemented(),
    })
    .superRefine(hasItsField)

const valueMatch = <T extends z.ZodType>(name: T) =>
  z
    .strictObject({ type: oneOf('Exact', 'RegularExpression').optional(), name, value: text(0, 4096) })
    .superRefine((match, context) => {
      if (match.type !== 'RegularExpression') return
      for (const issue of regex().safeParse(match.value).error?.issues ?? [])
        context.addIssue({ code: 'custom', path: ['value'], message: issue.message })
    })

const httpMatch = () =>
  z.strictObject({
    path: z
      .strictObject({
        type: oneOf('Exact', 'PathPrefix', 'RegularExpression').optional(),
        value: text(1, 1024).optional(),
      })
      .superRefine((match, context) => {
        const result = (match.type === 'RegularExpression' ? regex() : path()).safeParse(match.value ?? '/')
        for (const issue of result.error?.issues ?? [])
          context.addIssue({ code: 'custom', path: ['value'], message: issue.message })
      })
      .optional(),
    headers: list(valueMatch(matchedHeaderName()), 16).optional(),
    queryParams: list(valueMatch(text(1, 256)), 16).optional(),
    method: oneOf('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH').optional(),
  })

const common = () => ({
  parentRefs: parentRefs(),
  useDefaultGateways: notImplemented('the mesh has no gateways'),
})

/** Under a Service they are to be left out of account (GAMMA). */
const hostnames = () => {
  const made = leaf('a list of host names', (value) =>
    Array.isArray(value) ? value.map(String) : undefined,
  ).optional()
  decidesNothing.add(made)
  return made
}

/** Which field a type of filter needs. */
const filterFields = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
} as const

function hasItsField(
  one: { readonly type: keyof typeof filterFields },
  context: { addIssue(message: string): void },
): void {
  const wanted = filterFields[one.type]
  if ((one as Partial<Record<string, unknown>>)[wanted] === undefined || Object.keys(one).length !== 2)
    context.addIssue(`type ${one.type}, allowed beside it exactly ${wanted}`)
}

export const httpRouteShape = () =>
  z.strictObject({
    ...common(),
    hostnames: hostnames(),
    rules: list(
      z.strictObject({
        name: text(1, 253).optional(),
        matches: list(httpMatch(), 64).optional(),
        filters: list(filter(), 16).optional(),
        backendRefs: list(
          z.strictObject({ ...weighted(), filters: list(backendFilter(), 16).optional() }),
          16,
        ).optional(),
        timeouts: z
          .strictObject({ request: duration(0).optional(), backendRequest: duration(0).optional() })
          .optional(),
        retry: z
          .strictObject({
            codes: list(integer(400, 599), 64).optional(),
            attempts: integer(0, 10).optional(),
            backoff: duration().optional(),
          })
          .optional(),
        sessionPersistence: notImplemented('use consistentHash of a DestinationRule'),
      }),
      64,
    ).optional(),
  })

export const grpcRouteShape = () =>
  z.strictObject({
    ...common(),
    hostnames: hostnames(),
    rules: list(
      z.strictObject({
        name: text(1, 253).optional(),
        matches: list(
          z.strictObject({
            method: z
              .strictObject({
                type: oneOf('Exact', 'RegularExpression').optional(),
                service: text(1, 1024).optional(),
                method: text(1, 1024).optional(),
              })
              .optional(),
            headers: list(valueMatch(matchedHeaderName()), 16).optional(),
          }),
          64,
        ).optional(),
        filters: list(filter(), 16).optional(),
        backendRefs: list(
          z.strictObject({ ...weighted(), filters: list(backendFilter(), 16).optional() }),
          16,
        ).optional(),
        sessionPersistence: notImplemented('use consistentHash of a DestinationRule'),
      }),
      64,
    ).optional(),
  })

export const tcpRouteShape = () =>
  z.strictObject({
    ...common(),
    rules: nonEmptyList(
      z.strictObject({ name: text(1, 253).optional(), backendRefs: nonEmptyList(z.strictObject(weighted()), 16) }),
      1,
    ),
  })

export type HttpRouteSpecOf = z.output<ReturnType<typeof httpRouteShape>>
export type GrpcRouteSpecOf = z.output<ReturnType<typeof grpcRouteShape>>
export type TcpRouteSpecOf = z.output<ReturnType<typeof tcpRouteShape>>
export type RouteFilter = z.output<ReturnType<typeof filter>>
export type HttpRule = NonNullable<HttpRouteSpecOf['rules']>[number]
export type GrpcRule = NonNullable<GrpcRouteSpecOf['rules']>[number]
