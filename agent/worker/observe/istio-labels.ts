import { serviceKey } from '../../../contracts/endpoint.ts'
import { servedService } from '../../../contracts/inbound-key.ts'
import type { AppProtocol } from '../../../contracts/protocols.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import { parseSpiffeId } from '../../../contracts/spiffe-id.ts'

/** Istio's standard labels (istio.io, reference/config/metrics), without those that only HTTP or TCP has. */
export const peerLabelNames = [
  'reporter',
  'source_workload',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'source_canonical_service',
  'source_canonical_revision',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
  'destination_canonical_service',
  'destination_canonical_revision',
  'request_protocol',
  'connection_security_policy',
] as const

export const httpLabelNames = [...peerLabelNames, 'response_code', 'grpc_response_status', 'response_flags'] as const
export const tcpLabelNames = [...peerLabelNames, 'response_flags'] as const

const pathLabels = (['reporter', 'source_app', 'destination_service'] as const).map((name) =>
  peerLabelNames.indexOf(name),
)

/** Who calls what, of a row's labels. */
export function pathOf(labels: readonly string[]): string {
  return pathLabels.map((at) => labels[at]).join('\n')
}

const unknown = 'unknown'
/** Istio's word for the revision of a workload without a version. */
const latest = 'latest'

export interface PeerFacts {
  readonly reporter: 'source' | 'destination'
  readonly source: SourceAppSpec | undefined
  /** What the caller's certificate says, `spiffe://…`; '' = it showed none. */
  readonly callerId: string
  /** What the certificate of the endpoint says; '' = it showed none. */
  readonly serverId: string
  /** Service key of the destination, undefined when the request never got that far. */
  readonly service: string | undefined
  readonly version: string
  readonly protocol: AppProtocol
}

/**
 * Values in the order of `peerLabelNames`. Workloads are applications here: a host has no other notion of them. A
 * caller of another host is named by its certificate alone.
 */
export function peerLabels(facts: PeerFacts): string[] {
  const name = facts.service === undefined ? undefined : servedService(facts.service)
  const namespace = name?.namespace ?? unknown
  const app = name?.name ?? unknown
  const { callerId } = facts
  const source = facts.source ?? provedSource(callerId)
  return [
    facts.reporter,
    source?.app ?? unknown,
    source?.namespace ?? unknown,
    callerId === '' ? unknown : callerId,
    source?.app ?? unknown,
    source?.labels['version'] ?? unknown,
    unknown,
    source?.app ?? unknown,
    source === undefined ? unknown : (source.labels['version'] ?? latest),
    app,
    namespace,
    facts.serverId === '' ? unknown : facts.serverId,
    app,
    facts.version === '' ? unknown : facts.version,
    name === undefined ? unknown : serviceKey(name),
    app,
    namespace,
    unknown,
    app,
    facts.version !== '' ? facts.version : name === undefined ? unknown : latest,
    facts.protocol,
    facts.reporter === 'source' ? unknown : callerId === '' ? 'none' : 'mutual_tls',
  ]
}

function provedSource(callerId: string): SourceAppSpec | undefined {
  const id = callerId === '' ? undefined : parseSpiffeId(callerId)
  if (id?.kind !== 'workload') return undefined
  return { app: id.account, namespace: id.namespace, labels: {} }
}
