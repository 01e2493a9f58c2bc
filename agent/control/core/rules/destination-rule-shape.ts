/** Istio's DestinationRule (networking.istio.io/v1), every field of it: implemented, or refused by name. */
import * as z from 'zod'
import {
  asDoneAnyway,
  checked,
  duration,
  exportTo,
  flag,
  hostOrWildcard,
  integer,
  leaf,
  list,
  nonEmptyList,
  notImplemented,
  oneOf,
  percentNumber,
  port,
  text,
} from './fields.ts'
import { headerNameProblem } from './header-rules.ts'

const maxCount = 2 ** 31 - 1

/** `region`, `region/zone`, `region/zone/*`, `region/*`, `*` to `region/zone` with stars; we know no sub-zones. */
function parseLocality(value: unknown): string | undefined {
  if (typeof value !== 'string' || !/^[A-Za-z0-9._*-]+(?:\/[A-Za-z0-9._*-]+){0,2}$/.test(value)) return undefined
  const [region = '*', zone = '*', subZone = '*'] = value.split('/')
  const isStar = (part: string): boolean => part === '*'
  if (!isStar(subZone) || [region, zone].some((part) => part.includes('*') && !isStar(part))) return undefined
  if (isStar(region)) return isStar(zone) ? '*' : undefined
  return `${region}/${zone}`
}

const locality = () => leaf('a locality like region/zone, region/* or *; sub-zones are not implemented', parseLocality)

const distribution = () =>
  z.strictObject({
    from: locality(),
    to: z.record(locality(), integer(1, 100)).superRefine((shares, context) => {
      const sum = Object.values(shares).reduce((total, share) => total + share, 0)
      if (sum !== 100) context.addIssue(`the shares sum up to ${sum}, allowed exactly 100`)
    }),
  })

const localitySetting = () =>
  z
    .strictObject({
      enabled: flag().optional(),
      distribute: nonEmptyList(distribution(), 100).optional(),
      failover: nonEmptyList(z.strictObject({ from: text(1, 128), to: text(1, 128) }), 100).optional(),
      failoverPriority: notImplemented('use failover or distribute'),
    })
    .superRefine((setting, context) => {
      if (setting.distribute !== undefined && setting.failover !== undefined) {
        context.addIssue('found both distribute and failover, allowed one of them')
      }
    })

const hashHeader = () =>
  checked((value) => {
    if (typeof value === 'string' && /^(?:host|:authority)$/i.test(value)) return { value: 'host' }
    const problem = headerNameProblem(value)
    return problem === undefined ? { value: String(value).toLowerCase() } : { problem }
  })

const cookie = () =>
  z.strictObject({
    name: leaf('a cookie name', (value) =>
      typeof value === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/.test(value) ? value : undefined,
    ),
    path: leaf('a path that begins with /', (value) =>
      typeof value === 'string' && /^\/[\x21-\x3a\x3c-\x7e]{0,1023}$/.test(value) ? value : undefined,
    ).optional(),
    ttl: duration(0).optional(),
    attributes: notImplemented('a cookie that is made has Path, Max-Age and HttpOnly'),
  })

const consistentHash = () =>
  z
    .strictObject({
      httpHeaderName: hashHeader().optional(),
      httpCookie: cookie().optional(),
      useSourceIp: leaf('true', (value) => (value === true ? true : undefined)).optional(),
      httpQueryParameterName: text(1, 256).optional(),
      ringHash: z.strictObject({ minimumRingSize: integer(1, 8_388_608).optional() }).optional(),
      maglev: z
        .strictObject({
          tableSize: leaf('a prime number below 5000011', (value) =>
            isTableSize(value) ? value : undefined,
          ).optional(),
        })
        .optional(),
      minimumRingSize: integer(1, 8_388_608).optional(),
    })
    .superRefine((hash, context) => {
      const keys = ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'].filter(
        (key) => key in hash,
      )
      if (keys.length !== 1) {
        const allowed = 'allowed exactly one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName'
        context.addIssue(`found ${keys.length === 0 ? 'no key' : keys.join(' and ')}, ${allowed}`)
      }
      const methods = ['ringHash', 'maglev', 'minimumRingSize'].filter((key) => key in hash)
      if (methods.length > 1) context.addIssue(`found both ${methods.join(' and ')}, allowed one of them`)
    })

function isTableSize(value: unknown): value is number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 2 || value >= 5_000_011) return false
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false
  return true
}

const loadBalancer = () =>
  z
    .strictObject({
      simple: oneOf('UNSPECIFIED', 'ROUND_ROBIN', 'LEAST_REQUEST', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH').optional(),
      consistentHash: consistentHash().optional(),
      localityLbSetting: localitySetting().optional(),
      warmupDurationSecs: duration().optional(),
      warmup: z
        .strictObject({
          duration: duration(),
          minimumPercent: notImplemented('the share grows evenly from 10 %'),
          aggression: notImplemented('the share grows evenly'),
        })
        .optional(),
    })
    .superRefine((balancer, context) => {
      if (balancer.simple !== undefined && balancer.consistentHash !== undefined) {
        context.addIssue('found both simple and consistentHash, allowed one of them')
      }
      if (balancer.warmup !== undefined && balancer.warmupDurationSecs !== undefined) {
        context.addIssue('found both warmup and warmupDurationSecs, allowed one of them')
      }
    })

const connectionPool = () =>
  z.strictObject({
    tcp: z
      .strictObject({
        maxConnections: integer(1, maxCount).optional(),
        connectTimeout: duration().optional(),
        tcpKeepalive: z
          .strictObject({
            probes: integer(1, 127).optional(),
            time: duration().optional(),
            interval: duration().optional(),
          })
          .optional(),
        maxConnectionDuration: duration().optional(),
        idleTimeout: duration(0).optional(),
      })
      .optional(),
    http: z
      .strictObject({
        http1MaxPendingRequests: integer(1, maxCount).optional(),
        http2MaxRequests: integer(1, maxCount).optional(),
        maxRequestsPerConnection: integer(0, 2 ** 29).optional(),
        maxRetries: integer(0, maxCount).optional(),
        idleTimeout: duration().optional(),
        h2UpgradePolicy: oneOf('DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE').optional(),
        useClientProtocol: asDoneAnyway('the protocol is that of the listener', false),
        maxConcurrentStreams: integer(0, maxCount).optional(),
      })
      .optional(),
  })

const outlierDetection = () =>
  z
    .strictObject({
      consecutive5xxErrors: integer(0, maxCount).optional(),
      consecutiveGatewayErrors: integer(0, maxCount).optional(),
      consecutiveLocalOriginFailures: integer(0, maxCount).optional(),
      splitExternalLocalOriginErrors: flag().optional(),
      interval: duration().optional(),
      baseEjectionTime: duration().optional(),
      maxEjectionPercent: percentNumber().optional(),
      minHealthPercent: percentNumber().optional(),
      consecutiveErrors: integer(0, maxCount).optional(),
    })
    .superRefine((spec, context) => {
      if (spec.consecutiveErrors === undefined) return
      const newer = ['consecutive5xxErrors', 'consecutiveGatewayErrors'].filter((key) => key in spec)
      if (newer.length > 0)
        context.addIssue(`found both consecutiveErrors and ${newer.join(', ')}, allowed only the newer ones`)
    })

export const proxyProtocolShape = () => z.strictObject({ version: oneOf('V1', 'V2').optional() })

export const retryBudgetShape = () =>
  z.strictObject({ percent: percentNumber().optional(), minRetryConcurrency: integer(0, maxCount).optional() })

const ownFiles = () =>
  notImplemented(
    'files are named by the operator alone: put them into a folder of tls.credentialsDir, and its name into credentialName',
  )

const clientTls = () =>
  z
    .strictObject({
      mode: oneOf('DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL').optional(),
      sni: text(1, 253).optional(),
      subjectAltNames: list(text(1, 2048), 100).optional(),
      caCertificates: ownFiles(),
      caCrl: notImplemented('certificates are short-lived'),
      clientCertificate: ownFiles(),
      credentialName: leaf('a name of letters, digits and . _ -', (value) =>
        typeof value === 'string' && /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/.test(value)
          ? value
          : undefined,
      ).optional(),
      insecureSkipVerify: notImplemented('a server that anybody may be is no secure one'),
      privateKey: ownFiles(),
    })
    .superRefine((spec, context) => {
      const named = (['sni', 'subjectAltNames', 'credentialName'] as const).filter((key) => spec[key] !== undefined)
      if ((spec.mode ?? 'DISABLE') === 'DISABLE' && named.length > 0)
        context.addIssue(`found ${named.join(' and ')} with mode DISABLE, allowed with the others`)
      const isOutside = spec.mode === 'SIMPLE' || spec.mode === 'MUTUAL'
      if (isOutside && spec.sni === undefined && spec.subjectAltNames === undefined)
        context.addIssue(
          `found ${spec.mode} without sni and subjectAltNames, allowed with one of them: it says who answers`,
        )
      if (spec.mode === 'MUTUAL' && spec.credentialName === undefined)
        context.addIssue('found MUTUAL without credentialName, which says what is shown')
      if (spec.mode === 'ISTIO_MUTUAL' && spec.credentialName !== undefined)
        context.addIssue('found credentialName with ISTIO_MUTUAL, which shows the identity of the caller')
    })

const policyFields = () => ({
  loadBalancer: loadBalancer().optional(),
  connectionPool: connectionPool().optional(),
  outlierDetection: outlierDetection().optional(),
  tls: clientTls().optional(),
})

const portPolicy = () =>
  z.strictObject({
    port: z.strictObject({ number: port() }).transform((selector) => selector.number),
    ...policyFields(),
  })

const trafficPolicy = () =>
  z
    .strictObject({
      ...policyFields(),
      portLevelSettings: nonEmptyList(portPolicy(), 100).optional(),
      proxyProtocol: proxyProtocolShape().optional(),
      retryBudget: retryBudgetShape().optional(),
      tunnel: notImplemented('connections go straight to endpoints'),
    })
    .superRefine((policy, context) => {
      const ports = new Set<number>()
      policy.portLevelSettings?.forEach((setting, index) => {
        if (ports.has(setting.port)) {
          const path = ['portLevelSettings', index, 'port']
          context.addIssue({ code: 'custom', path, message: `port ${setting.port} has settings already` })
        }
        ports.add(setting.port)
      })
    })

export const destinationRuleShape = () =>
  z
    .strictObject({
      host: hostOrWildcard(),
      trafficPolicy: trafficPolicy().optional(),
      subsets: nonEmptyList(
        z.strictObject({
          name: leaf('a name of 1 to 256 letters, digits and . _ -', (value) =>
            typeof value === 'string' && /^[A-Za-z0-9._-]{1,256}$/.test(value) ? value : undefined,
          ),
          labels: z.record(text(1, 256), text(0, 256)).optional(),
          trafficPolicy: trafficPolicy().optional(),
        }),
        200,
      ).optional(),
      exportTo: exportTo(),
      workloadSelector: notImplemented(
        'rules hold for every application of a host; use sourceLabels in a VirtualService',
      ),
    })
    .superRefine((spec, context) => {
      const names = new Set<string>()
      spec.subsets?.forEach((subset, index) => {
        if (names.has(subset.name)) {
          context.addIssue({
            code: 'custom',
            path: ['subsets', index, 'name'],
            message: `subset ${subset.name} is defined twice`,
          })
        }
        names.add(subset.name)
      })
    })

export type DestinationRuleSpec = z.output<ReturnType<typeof destinationRuleShape>>
export type TrafficPolicyShape = NonNullable<DestinationRuleSpec['trafficPolicy']>
export type PolicyFieldsShape = Omit<TrafficPolicyShape, 'portLevelSettings' | 'tunnel'>
