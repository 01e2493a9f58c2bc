/** Outliers as Envoy has them; 0 of ours, which switches a detector off, is 0 % enforcement there. */
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import { given, type LeftOut } from './translation.ts'

export function outlierDetection({ outlier }: TrafficPolicySpec, leftOut: LeftOut): Plain | undefined {
  if (outlier === undefined) return undefined
  if (outlier.minHealthShare > 0) leftOut.add('outlierDetection.minHealthPercent: the panic threshold alone decides')
  const detector = (count: number, field: string, enforcing: string): Plain =>
    count === 0 ? { [enforcing]: 0 } : { [field]: count, [enforcing]: 100 }
  const { successRate } = outlier
  return given({
    interval: outlier.intervalMs,
    base_ejection_time: outlier.baseEjectionMs,
    max_ejection_time: Math.max(outlier.maxEjectionMs, outlier.baseEjectionMs),
    max_ejection_percent: Math.round(outlier.maxEjectionShare * 100),
    ...detector(outlier.consecutive5xx, 'consecutive_5xx', 'enforcing_consecutive_5xx'),
    ...detector(
      outlier.consecutiveGatewayErrors,
      'consecutive_gateway_failure',
      'enforcing_consecutive_gateway_failure',
    ),
    ...(outlier.splitLocalErrors
      ? {
          split_external_local_origin_errors: true,
          ...detector(
            outlier.consecutiveLocalFailures,
            'consecutive_local_origin_failure',
            'enforcing_consecutive_local_origin_failure',
          ),
        }
      : {}),
    ...(successRate === undefined
      ? { enforcing_success_rate: 0 }
      : {
          enforcing_success_rate: 100,
          success_rate_minimum_hosts: successRate.minimumHosts,
          success_rate_request_volume: successRate.requestVolume,
          success_rate_stdev_factor: Math.round(successRate.stdevFactor * 1000),
        }),
  })
}
