/** EDS. Source: envoy api, config/endpoint/v3. */
import type { MessageForms } from './message-form.ts'

export const endpointMessages: MessageForms = {
  of: 'envoy.config.endpoint.v3',
  messages: {
    ClusterLoadAssignment: {
      cluster_name: '1 string',
      endpoints: '2 [LocalityLbEndpoints]',
      policy: '4 ClusterLoadAssignment.Policy',
    },
    'ClusterLoadAssignment.Policy': {
      drop_overloads: '2 [ClusterLoadAssignment.Policy.DropOverload]',
      overprovisioning_factor: '3 u32value',
    },
    'ClusterLoadAssignment.Policy.DropOverload': { category: '1 string', drop_percentage: '2 FractionalPercent' },
    LocalityLbEndpoints: {
      locality: '1 Locality',
      lb_endpoints: '2 [LbEndpoint]',
      load_balancing_weight: '3 u32value',
      priority: '5 uint32',
    },
    LbEndpoint: {
      endpoint: '1 Endpoint',
      health_status: '2 HealthStatus',
      metadata: '3 Metadata',
      load_balancing_weight: '4 u32value',
    },
    Endpoint: { address: '1 Address', hostname: '3 string' },
  },
}
