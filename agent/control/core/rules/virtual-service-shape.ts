/** Istio's VirtualService (networking.istio.io/v1), every field of it: implemented, or refused by name. */
import * as z from 'zod'
import {
  asDoneAnyway,
  checked,
  duration,
  exportTo,
  flag,
  headerEdits,
  headerMap,
  hostOrWildcard,
  integer,
  integerPercent,
  isAuthority,
  labels,
  leaf,
  list,
  matchedFieldName,
  networks,
  nonEmptyList,
  notImplemented,
  oneOf,
  percent,
  port,
  presenceMatch,
  regex,
  serviceHost,
  stringMatch,
  text,
} from './fields.ts'
import { groupCount } from './pattern.ts'
import { parseRetryOn } from './retry-words.ts'

/** `mesh` is the mesh itself, every other one a Gateway: `name` of the own namespace, or `namespace/name`. */
const gateways = () =>
  list(
    leaf('mesh, the name of a Gateway, or NAMESPACE/NAME', (value) =>
      typeof value === 'string' && /^(?:[A-Za-z0-9._-]{1,253}\/)?[A-Za-z0-9._-]{1,253}$/.test(value)
        ? value
        : undefined,
    ),
    100,
  ).optional()

const httpPath = () =>
  leaf('a path that begins with / and holds printable ASCII without spaces, ? and #', (value) =>
    typeof value === 'string' && /^\/[\x21-\x22\x24-\x3e\x40-\x7e]{0,4095}$/.test(value) ? value : undefined,
  )

const redirectPath = () =>
  leaf('a path that begins with / and holds printable ASCII without spaces and #', (value) =>
    typeof value === 'string' && /^\/[\x21-\x22\x24-\x7e]{0,4095}$/.test(value) ? value : undefined,
  )

const authority = () => leaf('a host name, with or without a port', (value) => (isAuthority(value) ? value : undefined))

const status = () => integer(200, 599)

const destination = () =>
  z.strictObject({
    host: serviceHost(),
    subset: text(1, 256).optional(),
    port: z
      .strictObject({ number: port() })
      .transform((selector) => selector.number)
      .optional(),
  })

const httpMatchShape = () =>
  z
    .strictObject({
      name: text(1, 256).optional(),
      uri: stringMatch().optional(),
      scheme: stringMatch().optional(),
      method: stringMatch().optional(),
      authority: stringMatch().optional(),
      headers: headerMap(matchedFieldName(), presenceMatch()).optional(),
      withoutHeaders: headerMap(matchedFieldName(), presenceMatch()).optional(),
      queryParams: z.record(text(1, 256), presenceMatch()).optional(),
      port: port().optional(),
      sourceLabels: labels().optional(),
      sourceNamespace: text(1, 256).optional(),
      ignoreUriCase: flag().optional(),
      gateways: gateways(),
      statPrefix: notImplemented('metrics are named after the route'),
    })
    .superRefine((match, context) => {
      const conditions = Object.keys(match).filter((key) => !['name', 'gateways', 'ignoreUriCase'].includes(key))
      if (conditions.length === 0)
        context.addIssue('a match without a condition; leave the match out to take every request')
    })

const routeDestinations = () =>
  nonEmptyList(
    z.strictObject({
      destination: destination(),
      weight: integer(0, 1_000_000).optional(),
      headers: headerEdits().optional(),
    }),
    100,
  ).superRefine(weightsAreGood)

const tcpDestinations = () =>
  nonEmptyList(
    z.strictObject({ destination: destination(), weight: integer(0, 1_000_000).optional() }),
    100,
  ).superRefine(weightsAreGood)

function weightsAreGood(
  routes: readonly { readonly weight?: number | undefined }[],
  context: { addIssue(issue: string): void },
): void {
  if (routes.length > 1 && routes.some((route) => route.weight === undefined)) {
    context.addIssue('several destinations, allowed only with a weight each')
  } else if (routes.every((route) => route.weight === 0))
    context.addIssue('the weights sum up to 0, allowed at least 1')
}

const redirect = () =>
  z
    .strictObject({
      uri: redirectPath().optional(),
      authority: authority().optional(),
      port: port().optional(),
      derivePort: oneOf('FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT').optional(),
      scheme: oneOf('http', 'https').optional(),
      redirectCode: leaf('301, 302, 303, 307 or 308', (value) =>
        [301, 302, 303, 307, 308].includes(value as number) ? (value as number) : undefined,
      ).optional(),
    })
    .superRefine((spec, context) => {
      if (spec.port !== undefined && spec.derivePort !== undefined) {
        context.addIssue('found both port and derivePort, allowed one of them')
      }
    })

const directResponse = () =>
  z.strictObject({
    status: integer(200, 599),
    body: z
      .strictObject({
        string: text(0, 65_536).optional(),
        bytes: leaf('base64', (value) =>
          typeof value === 'string' && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)
            ? value
            : undefined,
        ).optional(),
      })
      .superRefine((body, context) => {
        if (Object.keys(body).length !== 1) context.addIssue('allowed exactly one of string and bytes')
      })
      .optional(),
  })

const rewrite = () =>
  z
    .strictObject({
      uri: httpPath().optional(),
      authority: authority().optional(),
      uriRegexRewrite: z
        .strictObject({ match: regex(), rewrite: text(0, 4096) })
        .superRefine((spec, context) => {
          const groups = groupCount(spec.match)
          for (const [reference, digit] of spec.rewrite.matchAll(/\\([0-9])/g)) {
            if (Number(digit) > groups) {
              context.addIssue({
                code: 'custom',
                path: ['rewrite'],
                message: `${reference}: the pattern has ${groups} groups`,
              })
            }
          }
        })
        .optional(),
    })
    .superRefine((spec, context) => {
      if (spec.uri !== undefined && spec.uriRegexRewrite !== undefined) {
        context.addIssue('found both uri and uriRegexRewrite, allowed one of them')
      }
      if (Object.keys(spec).length === 0) context.addIssue('an empty rewrite')
    })

const retries = () =>
  z.strictObject({
    attempts: integer(0, 10),
    perTryTimeout: duration().optional(),
    retryOn: checked((value) => {
      const parsed = parseRetryOn(value)
      return typeof parsed === 'string' ? { problem: parsed } : { value: parsed }
    }).optional(),
    backoff: duration().optional(),
    retryIgnorePreviousHosts: flag().optional(),
    retryRemoteLocalities: notImplemented('localities are chosen by localityLbSetting'),
  })

const fault = () =>
  z
    .strictObject({
      delay: z
        .strictObject({
          fixedDelay: duration(),
          percentage: percent().optional(),
          percent: integerPercent().optional(),
          exponentialDelay: notImplemented('use fixedDelay'),
        })
        .superRefine(onePercentage)
        .optional(),
      abort: z
        .strictObject({
          httpStatus: status(),
          percentage: percent().optional(),
          percent: integerPercent().optional(),
          grpcStatus: notImplemented('use httpStatus'),
          http2Error: notImplemented('use httpStatus'),
        })
        .superRefine(onePercentage)
        .optional(),
    })
    .superRefine((spec, context) => {
      if (spec.delay === undefined && spec.abort === undefined)
        context.addIssue('allowed delay, abort or both; found neither')
    })

function onePercentage(
  fault: { readonly percentage?: unknown; readonly percent?: unknown },
  context: { addIssue(issue: string): void },
): void {
  if (fault.percentage !== undefined && fault.percent !== undefined)
    context.addIssue('found both percentage and percent, allowed one of them')
}

const cors = () =>
  z
    .strictObject({
      allowOrigins: nonEmptyList(stringMatch(), 100).optional(),
      allowOrigin: nonEmptyList(text(1, 8192), 100).optional(),
      allowMethods: list(leaf('a method', tokenOf), 50).optional(),
      allowHeaders: list(leaf('a header name or *', tokenOf), 100).optional(),
      exposeHeaders: list(leaf('a header name or *', tokenOf), 100).optional(),
      maxAge: duration(0).optional(),
      allowCredentials: flag().optional(),
      unmatchedPreflights: oneOf('UNSPECIFIED', 'FORWARD', 'IGNORE').optional(),
    })
    .superRefine((policy, context) => {
      if ((policy.allowOrigins === undefined) === (policy.allowOrigin === undefined))
        context.addIssue('allowed exactly one of allowOrigins and the older allowOrigin')
    })

function tokenOf(value: unknown): string | undefined {
  return typeof value === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/.test(value) ? value : undefined
}

const httpRoute = () =>
  z
    .strictObject({
      name: text(1, 256).optional(),
      match: nonEmptyList(httpMatchShape(), 100).optional(),
      route: routeDestinations().optional(),
      redirect: redirect().optional(),
      directResponse: directResponse().optional(),
      delegate: z.strictObject({ name: text(1, 253), namespace: text(1, 253).optional() }).optional(),
      rewrite: rewrite().optional(),
      timeout: duration(0).optional(),
      retries: retries().optional(),
      fault: fault().optional(),
      mirror: destination().optional(),
      mirrorPercentage: percent().optional(),
      mirrorPercent: integerPercent().optional(),
      mirror_percent: integerPercent().optional(),
      mirrors: nonEmptyList(
        z.strictObject({ destination: destination(), percentage: percent().optional() }),
        8,
      ).optional(),
      corsPolicy: cors().optional(),
      headers: headerEdits().optional(),
      appendHeaders: notImplemented('use headers.request.add'),
      removeRequestHeaders: notImplemented('use headers.request.remove'),
      appendRequestHeaders: notImplemented('use headers.request.add'),
      appendResponseHeaders: notImplemented('use headers.response.add'),
      removeResponseHeaders: notImplemented('use headers.response.remove'),
      websocketUpgrade: asDoneAnyway('WebSockets pass without it', true),
    })
    .superRefine((route, context) => {
      const actions = ['route', 'redirect', 'directResponse', 'delegate'].filter((key) => key in route)
      if (actions.length !== 1) {
        const found = actions.length === 0 ? 'none' : actions.join(' and ')
        context.addIssue(`found ${found} of route, redirect, directResponse, delegate, allowed exactly one`)
      }
      if (route.route === undefined && route.delegate === undefined) {
        if (route.headers?.request !== undefined) {
          context.addIssue({
            code: 'custom',
            path: ['headers', 'request'],
            message: `nothing is forwarded by ${actions[0] ?? 'this route'}; allowed only beside route`,
          })
        }
        for (const key of ['rewrite', 'retries', 'mirror', 'mirrors', 'timeout'] as const) {
          if (route[key] !== undefined) {
            context.addIssue({
              code: 'custom',
              path: [key],
              message: `nothing is forwarded by ${actions[0] ?? 'this route'}; allowed only beside route`,
            })
          }
        }
      }
      if (route.mirror !== undefined && route.mirrors !== undefined) {
        context.addIssue({
          code: 'custom',
          path: ['mirrors'],
          message: 'found both mirror and mirrors, allowed one of them',
        })
      }
      const shares = (['mirrorPercentage', 'mirrorPercent', 'mirror_percent'] as const).filter((key) => key in route)
      if (shares.length > 1) context.addIssue(`found ${shares.join(' and ')}, allowed one of them`)
      if (shares.length > 0 && route.mirror === undefined) {
        context.addIssue({ code: 'custom', path: shares.slice(0, 1), message: 'allowed only beside mirror' })
      }
    })

const connectionMatch = () => ({
  destinationSubnets: networks().optional(),
  port: port().optional(),
  sourceSubnet: leaf('a network like 10.0.0.0/8, or an address', singleNetwork).optional(),
  sourceLabels: labels().optional(),
  sourceNamespace: text(1, 256).optional(),
  gateways: gateways(),
})

/** Connections whose TLS goes through as it is. */
const tlsRoute = () =>
  z.strictObject({
    match: nonEmptyList(z.strictObject({ ...connectionMatch(), sniHosts: nonEmptyList(serverName(), 100) }), 100),
    route: tcpDestinations(),
  })

const serverName = () =>
  leaf('a host name like orders.example.com, *.example.com or *', (value) =>
    typeof value === 'string' &&
    value.length <= 255 &&
    /^(?:\*|(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)$/.test(value)
      ? value.toLowerCase()
      : undefined,
  )

const tcpRoute = () =>
  z.strictObject({
    match: nonEmptyList(
      z.strictObject(connectionMatch()).superRefine((match, context) => {
        if (Object.keys(match).filter((key) => key !== 'gateways').length === 0) {
          context.addIssue('a match without a condition; leave the match out to take every connection')
        }
      }),
      100,
    ).optional(),
    route: tcpDestinations(),
  })

function singleNetwork(value: unknown): string | undefined {
  return typeof value === 'string' && networks().safeParse([value]).success ? value : undefined
}

export const virtualServiceShape = () =>
  z
    .strictObject({
      hosts: nonEmptyList(hostOrWildcard(), 200).optional(),
      gateways: gateways(),
      http: nonEmptyList(httpRoute(), 2000).optional(),
      tcp: nonEmptyList(tcpRoute(), 200).optional(),
      tls: nonEmptyList(tlsRoute(), 200).optional(),
      exportTo: exportTo(),
    })
    .superRefine((spec, context) => {
      if (spec.http === undefined && spec.tcp === undefined && spec.tls === undefined) {
        context.addIssue('found neither http nor tcp nor tls routes')
      }
      if (spec.hosts === undefined && (spec.tcp ?? spec.tls) !== undefined) {
        context.addIssue({
          code: 'custom',
          path: ['hosts'],
          message: 'found nothing, allowed a list; only http routes can be delegated to',
        })
      }
      if (spec.hosts === undefined) {
        spec.http?.forEach((route, index) => {
          if (route.delegate !== undefined)
            context.addIssue({
              code: 'custom',
              path: ['http', index, 'delegate'],
              message: 'allowed only in a resource with hosts: who is delegated to does not delegate',
            })
        })
      }
      const names = new Map<string, number>()
      spec.http?.forEach((route, index) => {
        if (route.name === undefined) return
        const first = names.get(route.name)
        if (first === undefined) names.set(route.name, index)
        else {
          const message = `the name ${route.name} is taken by http[${first}]; names are unique, since limits and metrics go by them`
          context.addIssue({ code: 'custom', path: ['http', index, 'name'], message })
        }
      })
    })

export type VirtualServiceSpec = z.output<ReturnType<typeof virtualServiceShape>>
export type HttpRouteShape = NonNullable<VirtualServiceSpec['http']>[number]
export type TcpRouteShape = NonNullable<VirtualServiceSpec['tcp']>[number]
export type TlsRouteShape = NonNullable<VirtualServiceSpec['tls']>[number]
