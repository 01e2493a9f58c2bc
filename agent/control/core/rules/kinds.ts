/** The kinds of resources that we read, and what they become. */
import { nearest } from '../../config/nearest.ts'
import type { RuleOrigin } from '../../../../contracts/route-spec.ts'
import { destinationRuleShape } from './destination-rule-shape.ts'
import type { DestinationRuleSpec } from './destination-rule-shape.ts'
import { grpcRouteShape, httpRouteShape, tcpRouteShape } from './gateway-route-shape.ts'
import type { GrpcRouteSpecOf, HttpRouteSpecOf, TcpRouteSpecOf } from './gateway-route-shape.ts'
import { meshPolicyShape } from './mesh-policy-shape.ts'
import type { MeshPolicySpec } from './mesh-policy-shape.ts'
import { serviceEntryShape, workloadEntryShape } from './service-entry-shape.ts'
import type { ServiceEntrySpec, WorkloadEntrySpec } from './service-entry-shape.ts'
import { virtualServiceShape } from './virtual-service-shape.ts'
import type { VirtualServiceSpec } from './virtual-service-shape.ts'

export type RuleSpec =
  | { readonly kind: 'VirtualService'; readonly spec: VirtualServiceSpec }
  | { readonly kind: 'DestinationRule'; readonly spec: DestinationRuleSpec }
  | { readonly kind: 'ServiceEntry'; readonly spec: ServiceEntrySpec }
  | { readonly kind: 'WorkloadEntry'; readonly spec: WorkloadEntrySpec }
  | { readonly kind: 'HTTPRoute'; readonly spec: HttpRouteSpecOf }
  | { readonly kind: 'GRPCRoute'; readonly spec: GrpcRouteSpecOf }
  | { readonly kind: 'TCPRoute'; readonly spec: TcpRouteSpecOf }
  | { readonly kind: 'MeshPolicy'; readonly spec: MeshPolicySpec }

export type RuleKind = RuleSpec['kind']

export const shapes = {
  VirtualService: virtualServiceShape,
  DestinationRule: destinationRuleShape,
  ServiceEntry: serviceEntryShape,
  WorkloadEntry: workloadEntryShape,
  HTTPRoute: httpRouteShape,
  GRPCRoute: grpcRouteShape,
  TCPRoute: tcpRouteShape,
  MeshPolicy: meshPolicyShape,
} as const

const istioVersions = ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3']

const gatewayVersions = ['v1', 'v1beta1', 'v1alpha3', 'v1alpha2'].map(
  (version) => `gateway.networking.k8s.io/${version}`,
)

const apiVersions: Readonly<Record<RuleKind, readonly string[]>> = {
  VirtualService: istioVersions,
  DestinationRule: istioVersions,
  ServiceEntry: istioVersions,
  WorkloadEntry: istioVersions,
  HTTPRoute: gatewayVersions,
  GRPCRoute: gatewayVersions,
  TCPRoute: gatewayVersions,
  MeshPolicy: ['hostmesh.io/v1'],
}

/**
 * Kinds of Istio, of the Gateway API and of Kubernetes itself: known, so that the answer is not "unknown", with what to
 * use.
 */
const otherKinds: ReadonlyMap<string, string> = new Map([
  ['AuthorizationPolicy', ''],
  ['EnvoyFilter', 'what it is used for most is in MeshPolicy: rate limits, checks, latency-aware balancing'],
  ['Gateway', 'the mesh has no gateways; rules for its own calls need none'],
  ['PeerAuthentication', ''],
  ['ProxyConfig', 'use agent.yaml'],
  ['RequestAuthentication', ''],
  ['Sidecar', 'an agent knows only the services that its host uses; use outbound in agent.yaml'],
  ['Telemetry', 'use accessLog and tracing in agent.yaml'],
  ['WasmPlugin', ''],
  ['WorkloadGroup', 'register applications by services.d, or write WorkloadEntry'],
  ['BackendTLSPolicy', ''],
  ['GatewayClass', 'the mesh has no gateways'],
  ['ReferenceGrant', 'routes may lead to every namespace'],
  ['TLSRoute', 'use a TCPRoute'],
  ['UDPRoute', 'UDP is not carried'],
  ...[
    'ClusterRole',
    'ClusterRoleBinding',
    'ConfigMap',
    'CronJob',
    'CustomResourceDefinition',
    'DaemonSet',
    'Deployment',
    'Endpoints',
    'EndpointSlice',
    'HorizontalPodAutoscaler',
    'Ingress',
    'Job',
    'Namespace',
    'NetworkPolicy',
    'PersistentVolumeClaim',
    'Pod',
    'Role',
    'RoleBinding',
    'Secret',
    'Service',
    'ServiceAccount',
    'StatefulSet',
  ].map((kind) => [kind, 'it belongs to a cluster and says nothing about traffic here'] as const),
])

export function isRuleKind(kind: unknown): kind is RuleKind {
  return typeof kind === 'string' && Object.hasOwn(shapes, kind)
}

/** undefined for a kind that we read. */
export function kindProblem(kind: unknown): string | undefined {
  if (isRuleKind(kind)) return undefined
  const implemented = Object.keys(shapes)
  if (typeof kind !== 'string') return `found no kind, allowed ${implemented.join(', ')}`
  const advice = otherKinds.get(kind)
  if (advice !== undefined) {
    return `${kind} is not implemented by this version${advice === '' ? '' : `; ${advice}`}, allowed ${implemented.join(', ')}`
  }
  const hint = nearest(kind, [...implemented, ...otherKinds.keys()])
  const known = `allowed ${implemented.join(', ')}${hint === undefined ? '' : ` (nearest: ${hint})`}`
  return `${JSON.stringify(kind.slice(0, 80))} is no kind of resource, ${known}`
}

/** undefined for an API version in which we read this kind. */
export function apiVersionProblem(kind: RuleKind, version: unknown): string | undefined {
  const allowed = apiVersions[kind]
  if (typeof version === 'string' && allowed.includes(version)) return undefined
  const found = typeof version === 'string' ? JSON.stringify(version.slice(0, 80)) : 'nothing'
  return `found ${found}, allowed ${allowed.join(', ')}`
}

/** `VirtualService`, `namespace/name`, `spec.http[0]`. */
export function originOf(kind: RuleKind, namespace: string, name: string, path: string): RuleOrigin {
  return { kind, name: `${namespace}/${name}`, path }
}
