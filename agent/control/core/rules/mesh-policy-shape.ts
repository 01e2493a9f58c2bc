/**
 * MeshPolicy (hostmesh.io/v1): what Istio's resources do not say. Applies to `hosts`, or without them to every service.
 * Durations and percentages are written as in Istio.
 */
import * as z from 'zod'
import { proxyProtocolShape, retryBudgetShape } from './destination-rule-shape.ts'
import { globalRateLimit } from './global-rate-limits.ts'
import {
  duration,
  flag,
  hostOrWildcard,
  integer,
  leaf,
  nonEmptyList,
  oneOf,
  percentNumber,
  serviceHost,
  text,
} from './fields.ts'

const loadBalancer = () =>
  z
    .strictObject({
      peakEwma: z.strictObject({ decayTime: duration().optional() }).optional(),
      leastRequest: z.strictObject({ choices: integer(2, 16).optional() }).optional(),
    })
    .superRefine((balancer, context) => {
      if (Object.keys(balancer).length !== 1) context.addIssue('allowed exactly one of peakEwma and leastRequest')
    })

const rateLimit = () =>
  z.strictObject({
    name: text(1, 128),
    routes: nonEmptyList(text(1, 256)).optional(),
    per: oneOf('Route', 'SourceApp').optional(),
    side: oneOf('Outbound', 'Inbound').optional(),
    maxTokens: integer(1, 1_000_000_000),
    tokensPerFill: integer(1, 1_000_000_000).optional(),
    fillInterval: duration(),
    status: integer(400, 599).optional(),
  })

const filter = () =>
  z.strictObject({
    name: text(1, 128),
    routes: nonEmptyList(text(1, 256)).optional(),
    side: oneOf('Outbound', 'Inbound').optional(),
  })

const side = () => oneOf('Outbound', 'Inbound').optional()

const adaptiveConcurrency = () =>
  z
    .strictObject({
      side: side(),
      sampleAggregatePercentile: percentNumber().optional(),
      minConcurrencyLimit: integer(1, 1_000_000).optional(),
      maxConcurrencyLimit: integer(1, 1_000_000).optional(),
      concurrencyUpdateInterval: duration().optional(),
      minRttCalcInterval: duration().optional(),
      bufferPercent: percentNumber().optional(),
    })
    .superRefine(({ maxConcurrencyLimit: most = 1000, minConcurrencyLimit: least = 3 }, context) => {
      if (least > most) context.addIssue(`allowed a minConcurrencyLimit up to the maxConcurrencyLimit, ${most}`)
    })

const numberBetween = (least: number, most: number, scale = 1) =>
  leaf(`a number from ${least} to ${most}`, (value) =>
    typeof value === 'number' && value >= least && value <= most ? value * scale : undefined,
  )

const admissionControl = () =>
  z.strictObject({
    side: side(),
    successRateThresholdPercent: numberBetween(1, 100, 0.01).optional(),
    aggression: numberBetween(0.1, 10).optional(),
    minimumRequests: integer(1, 1_000_000).optional(),
    samplingWindow: duration().optional(),
    maxRejectionPercent: percentNumber().optional(),
  })

const callerLimit = () =>
  z
    .strictObject({
      caller: text(1, 256),
      side: side(),
      maxRequests: integer(1, 1_000_000).optional(),
      weight: integer(1, 1000).optional(),
    })
    .superRefine((limit, context) => {
      if (limit.maxRequests === undefined && limit.weight === undefined)
        context.addIssue('allowed a maxRequests, a weight, or both')
    })

const healthCheck = () =>
  z
    .strictObject({
      http: z
        .strictObject({
          path: leaf('a path that begins with /', (value) =>
            typeof value === 'string' && /^\/[\x21-\x22\x24-\x7e]{0,2047}$/.test(value) ? value : undefined,
          ),
        })
        .optional(),
      tcp: z.strictObject({}).optional(),
      grpc: z.strictObject({ service: text(0, 256).optional() }).optional(),
      interval: duration().optional(),
      timeout: duration().optional(),
      healthyThreshold: integer(1, 100).optional(),
      unhealthyThreshold: integer(1, 100).optional(),
    })
    .superRefine((check, context) => {
      if ([check.http, check.tcp, check.grpc].filter((one) => one !== undefined).length !== 1)
        context.addIssue('allowed exactly one of http, tcp and grpc')
    })

export const meshPolicyShape = () =>
  z
    .strictObject({
      hosts: nonEmptyList(hostOrWildcard(), 1000).optional(),
      loadBalancer: loadBalancer().optional(),
      retryBudget: retryBudgetShape().optional(),
      circuitBreaker: z
        .strictObject({
          failurePercent: percentNumber().optional(),
          minimumRequests: integer(1, 1_000_000).optional(),
          window: duration().optional(),
          openTime: duration().optional(),
        })
        .optional(),
      outlierDetection: z
        .strictObject({
          maxEjectionTime: duration().optional(),
          successRate: z
            .strictObject({
              minimumHosts: integer(2, 10_000).optional(),
              requestVolume: integer(1, 1_000_000).optional(),
              stdevFactor: numberBetween(0, 10).optional(),
            })
            .optional(),
        })
        .optional(),
      adaptiveConcurrency: adaptiveConcurrency().optional(),
      admissionControl: admissionControl().optional(),
      callers: nonEmptyList(callerLimit(), 100).optional(),
      healthCheck: healthCheck().optional(),
      hedging: nonEmptyList(
        z.strictObject({
          routes: nonEmptyList(text(1, 256)).optional(),
          after: duration(),
          maxExtra: integer(1, 3).optional(),
          requests: oneOf('Idempotent', 'All').optional(),
        }),
        100,
      ).optional(),
      retries: nonEmptyList(
        z.strictObject({ routes: nonEmptyList(text(1, 256)).optional(), requests: oneOf('All') }),
        100,
      ).optional(),
      rateLimits: nonEmptyList(rateLimit(), 100).optional(),
      globalRateLimits: nonEmptyList(globalRateLimit(), 16).optional(),
      routeOverrides: z
        .strictObject({
          callers: nonEmptyList(text(1, 256), 100),
          destinations: nonEmptyList(serviceHost(), 100).optional(),
        })
        .optional(),
      filters: nonEmptyList(filter(), 32).optional(),
      panicThresholdPercent: percentNumber().optional(),
      fallback: z.strictObject({ center: flag().optional(), direct: flag().optional() }).optional(),
      connectionPool: z
        .strictObject({ tcpUserTimeout: duration(0).optional(), maxConnectionAge: duration(0).optional() })
        .optional(),
      proxyProtocol: proxyProtocolShape().optional(),
    })
    .superRefine((spec, context) => {
      if (Object.keys(spec).filter((key) => key !== 'hosts').length === 0)
        context.addIssue('a policy without a setting')
      const names = new Set<string>()
      for (const list of ['rateLimits', 'globalRateLimits'] as const)
        spec[list]?.forEach(({ name }, index) => {
          if (names.has(name))
            context.addIssue({
              code: 'custom',
              path: [list, index, 'name'],
              message: `the name ${name} is taken by another limit of this policy`,
            })
          names.add(name)
        })
    })

export type MeshPolicySpec = z.output<ReturnType<typeof meshPolicyShape>>
