/** The kinds of resources that we read, and what they become. */
import type * as z from 'zod'
import { nearest } from '../../config/nearest.ts'
import type { RuleOrigin } from '../../../../contracts/route-spec.ts'
import { authorizationPolicyShape } from './authorization-shape.ts'
import type { AuthorizationPolicySpec } from './authorization-shape.ts'
import { destinationRuleShape } from './destination-rule-shape.ts'
import type { DestinationRuleSpec } from './destination-rule-shape.ts'
import { grpcRouteShape, httpRouteShape, tcpRouteShape } from './gateway-route-shape.ts'
import type { GrpcRouteSpecOf, HttpRouteSpecOf, TcpRouteSpecOf } from './gateway-route-shape.ts'
import { gatewayShape } from './gateways/gateway-shape.ts'
import type { GatewaySpec } from './gateways/gateway-shape.ts'
import { meshPolicyShape } from './mesh-policy-shape.ts'
import type { MeshPolicySpec } from './mesh-policy-shape.ts'
import { peerAuthenticationShape } from './peer-authentication-shape.ts'
import type { PeerAuthenticationSpec } from './peer-authentication-shape.ts'
import type { PolicyAnnotations } from './policy-annotations.ts'
import { requestAuthenticationShape } from './request-authentication-shape.ts'
import type { RequestAuthenticationSpec } from './request-authentication-shape.ts'
import { serviceEntryShape, workloadEntryShape } from './service-entry-shape.ts'
import type { ServiceEntrySpec, WorkloadEntrySpec } from './service-entry-shape.ts'
import { virtualServiceShape } from './virtual-service-shape.ts'
import type { VirtualServiceSpec } from './virtual-service-shape.ts'

export type RuleSpec =
  | { readonly kind: 'VirtualService'; readonly spec: VirtualServiceSpec }
  | { readonly kind: 'DestinationRule'; readonly spec: DestinationRuleSpec }
  | { readonly kind: 'ServiceEntry'; readonly spec: ServiceEntrySpec }
  | { readonly kind: 'WorkloadEntry'; readonly spec: WorkloadEntrySpec }
  | { readonly kind: 'Gateway'; readonly spec: GatewaySpec }
  | { readonly kind: 'HTTPRoute'; readonly spec: HttpRouteSpecOf }
  | { readonly kind: 'GRPCRoute'; readonly spec: GrpcRouteSpecOf }
  | { readonly kind: 'TCPRoute'; readonly spec: TcpRouteSpecOf }
  | { readonly kind: 'PeerAuthentication'; readonly spec: PeerAuthenticationSpec }
  | { readonly kind: 'MeshPolicy'; readonly spec: MeshPolicySpec }
  | {
      readonly kind: 'RequestAuthentication'
      readonly spec: RequestAuthenticationSpec
      readonly annotations: PolicyAnnotations
    }
  | {
      readonly kind: 'AuthorizationPolicy'
      readonly spec: AuthorizationPolicySpec
      readonly annotations: PolicyAnnotations
    }

export type RuleKind = RuleSpec['kind']

const shapes = {
  VirtualService: virtualServiceShape,
  DestinationRule: destinationRuleShape,
  ServiceEntry: serviceEntryShape,
  WorkloadEntry: workloadEntryShape,
  Gateway: gatewayShape,
  HTTPRoute: httpRouteShape,
  GRPCRoute: grpcRouteShape,
  TCPRoute: tcpRouteShape,
  PeerAuthentication: peerAuthenticationShape,
  MeshPolicy: meshPolicyShape,
  AuthorizationPolicy: authorizationPolicyShape,
  RequestAuthentication: requestAuthenticationShape,
} as const

const made = new Map<RuleKind, z.ZodType>()

/** Made when the first document of the kind comes: hosts have few kinds, and making all of them delays every start. */
export function specShape(kind: RuleKind): z.ZodType {
  let shape = made.get(kind)
  if (shape === undefined) made.set(kind, (shape = shapes[kind]()))
  return shape
}

export const ruleKinds = Object.keys(shapes) as readonly RuleKind[]

const istioVersions = ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3']

const securityVersions = ['security.istio.io/v1', 'security.istio.io/v1beta1']

const gatewayVersions = ['v1', 'v1beta1', 'v1alpha3', 'v1alpha2'].map(
  (version) => `gateway.networking.k8s.io/${version}`,
)

/** The preferred one first. */
export const apiVersions: Readonly<Record<RuleKind, readonly string[]>> = {
  VirtualService: istioVersions,
  DestinationRule: istioVersions,
  ServiceEntry: istioVersions,
  WorkloadEntry: istioVersions,
  Gateway: istioVersions,
  HTTPRoute: gatewayVersions,
  GRPCRoute: gatewayVersions,
  TCPRoute: gatewayVersions,
  PeerAuthentication: ['security.istio.io/v1', 'security.istio.io/v1beta1'],
  MeshPolicy: ['hostmesh.io/v1'],
  AuthorizationPolicy: securityVersions,
  RequestAuthentication: securityVersions,
}

/**
 * Kinds of Istio, of the Gateway API and of Kubernetes itself: known, so that the answer is not "unknown", with what to
 * use.
 */
const otherKinds: ReadonlyMap<string, string> = new Map([
  ['EnvoyFilter', 'what it is used for most is in MeshPolicy: rate limits, checks, latency-aware balancing'],
  ['ProxyConfig', 'use agent.yaml'],
  ['Sidecar', 'an agent knows only the services that its host uses; use outbound in agent.yaml'],
  ['Telemetry', 'use accessLog and tracing in agent.yaml'],
  ['WasmPlugin', ''],
  ['WorkloadGroup', 'register applications by services.d, or write WorkloadEntry'],
  ['BackendTLSPolicy', ''],
  ['GatewayClass', 'a port for the network is opened by a Gateway of networking.istio.io'],
  ['ReferenceGrant', 'routes may lead to every namespace'],
  ['TLSRoute', 'use a VirtualService with tls routes'],
  ['UDPRoute', 'UDP is routed by the tcp routes of a VirtualService'],
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
  if (typeof kind !== 'string') return `found no kind, allowed ${ruleKinds.join(', ')}`
  const advice = otherKinds.get(kind)
  if (advice !== undefined) {
    return `${kind} is not implemented by this version${advice === '' ? '' : `; ${advice}`}, allowed ${ruleKinds.join(', ')}`
  }
  const hint = nearest(kind, [...ruleKinds, ...otherKinds.keys()])
  const known = `allowed ${ruleKinds.join(', ')}${hint === undefined ? '' : ` (nearest: ${hint})`}`
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
