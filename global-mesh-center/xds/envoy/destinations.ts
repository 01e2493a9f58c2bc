/**
 * Clusters and their endpoints for foreign clients, by the names of clusters, as rules and registries have them now.
 */
import type { Endpoint } from '../../../contracts/endpoint.ts'
import { metadataKeys, parseServiceName } from '../../../contracts/endpoint.ts'
import { encodeMessage } from '../../../contracts/envoy-api/encode.ts'
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import { protocolOfWord, type AppProtocol } from '../../../contracts/protocols.ts'
import { entrySet } from '../../../agent/control/core/rules/service-entry.ts'
import type { CompiledService, DeclaredService, Rules } from '../../../agent/control/core/rules/types.ts'
import type { Clock } from '../../../agent/control/clock.ts'
import type { RulesView } from '../agent-rules.ts'
import type { FollowedServices, Instances } from '../followed-services.ts'
import type { OnValue, ResourceSource } from '../resources.ts'
import { assignment, assignmentMessage } from './assignment.ts'
import { cluster, clusterMessage, uncallable, type ClusterView } from './cluster.ts'
import { clusterName, parseClusterName, type ClusterRef } from './cluster-name.ts'
import type { LeftOutTable } from './left-out-table.ts'

export interface DestinationsDeps {
  readonly rules: RulesView
  readonly services: Pick<FollowedServices, 'follow'>
  readonly leftOut: LeftOutTable
  readonly clock: Pick<Clock, 'after'>
  /** For proxies that have an identity of the mesh. */
  readonly isMeshed: boolean
}

/** A cluster is told without what its registries say if they have not spoken for so long. */
const registryPatienceMs = 2000
const nothing: Instances = { endpoints: [], protectThreshold: 0 }
const anyName = new Map<string, readonly string[]>()

export class ClusterSource implements ResourceSource {
  private readonly deps: DestinationsDeps

  constructor(deps: DestinationsDeps) {
    this.deps = deps
  }

  follow(name: string, onValue: OnValue): (() => void) | false {
    const { clock, isMeshed, leftOut } = this.deps
    let isPatient = true
    const owner = {}
    const stop = followDestination(name, this.deps, (ref, rules, known) => {
      if (known === undefined && isPatient) return
      const view = viewOf(ref, rules, known ?? nothing, isMeshed)
      const { message, leftOut: what } = cluster(view)
      leftOut.set(owner, { type: 'cluster', name, what })
      onValue(encodeMessage(clusterMessage, message), message['type'] === 'EDS')
    })
    if (stop === false) return false
    const cancel = clock.after(registryPatienceMs, () => {
      isPatient = false
      stop.again()
    })
    return () => {
      cancel()
      stop.end()
      leftOut.clear(owner)
    }
  }
}

/** Of names that are those of clusters; all others are somebody else's. */
export class AssignmentSource implements ResourceSource {
  private readonly deps: DestinationsDeps

  constructor(deps: DestinationsDeps) {
    this.deps = deps
  }

  follow(name: string, onValue: OnValue): (() => void) | false {
    const { isMeshed, leftOut } = this.deps
    const owner = {}
    const stop = followDestination(name, this.deps, (ref, rules, known) => {
      if (known === undefined) return
      const view = viewOf(ref, rules, known, isMeshed)
      const declared = rules.declaredService(ref.service)
      const endpoints = declared === undefined ? known.endpoints : entrySet(declared, anyName, 0, 0).endpoints
      const { message, leftOut: what } = assignment({
        clusterName: name,
        endpoints: uncallable(view) === undefined ? endpoints : [],
        labels: labelsOf(ref, rules),
        port: ref.port,
        tls: view.policy.tls,
        isMeshed: view.isMeshed,
      })
      leftOut.set(owner, { type: 'endpoints', name, what })
      onValue(encodeMessage(assignmentMessage, message))
    })
    if (stop === false) return false
    return () => {
      stop.end()
      leftOut.clear(owner)
    }
  }
}

type OnNews = (ref: ClusterRef, rules: Rules, known: Instances | undefined) => void

/** Calls with each change of the rules about a destination or of its instances; never before it returns. */
function followDestination(
  name: string,
  { rules, services }: DestinationsDeps,
  onNews: OnNews,
): { again(): void; end(): void } | false {
  const ref = parseClusterName(name)
  if (ref === undefined) return false
  let known: Instances | undefined
  let isOver = false
  const again = (): void => {
    const { inForce } = rules
    if (inForce === undefined || isOver) return
    onNews(ref, inForce, inForce.declaredService(ref.service) === undefined ? known : nothing)
  }
  const unfollow = services.follow(ref.service, parseServiceName(ref.service)!, (now) => {
    known = now
    again()
  })
  const unwatch = rules.watch((affected) => {
    if (affected === 'all' || affected.has(ref.service)) again()
  })
  // a declared service has its instances at once
  setImmediate(again)
  return {
    again,
    end: () => {
      isOver = true
      unfollow()
      unwatch()
    },
  }
}

function viewOf(ref: ClusterRef, rules: Rules, { endpoints }: Instances, isMeshed: boolean): ClusterView {
  const declared = rules.declaredService(ref.service)
  return {
    ref,
    policy: policyOf(rules.service(ref.service), ref),
    protocol: declared?.protocol ?? protocolOf(endpoints),
    byName: declared === undefined ? undefined : namesOf(declared, ref),
    // clients of gRPC take no secrets from here
    isMeshed: isMeshed && ref.flavour === 'outbound',
  }
}

export function policyOf({ policy, portPolicies, subsets }: CompiledService, ref: ClusterRef): TrafficPolicySpec {
  const subset = ref.subset === undefined ? undefined : subsets[ref.subset]
  const ofPort = ref.port === undefined ? undefined : (subset?.portPolicies ?? portPolicies)[ref.port]
  return ofPort ?? subset?.policy ?? policy
}

function protocolOf(endpoints: readonly Endpoint[]): AppProtocol {
  for (const { metadata } of endpoints) {
    const said = protocolOfWord(metadata[metadataKeys.protocol])
    if (said !== undefined) return said
  }
  return 'http'
}

/** A subset that no rule has has no endpoints. */
function labelsOf({ service, subset }: ClusterRef, rules: Rules): Readonly<Record<string, string>> | undefined {
  if (subset === undefined) return undefined
  return rules.service(service).subsets[subset]?.labels ?? { 'no such subset': subset }
}

/** Endpoints of a ServiceEntry that are names: the client looks them up. */
function namesOf({ resolution, endpoints }: DeclaredService, ref: ClusterRef): Plain | undefined {
  if (resolution !== 'dns') return undefined
  const named = endpoints.map(({ host, port, weight }) => ({
    endpoint: { address: { socket_address: { address: host, port_value: port } } },
    load_balancing_weight: Math.max(1, Math.round(weight * 100)),
  }))
  return { cluster_name: clusterName(ref), endpoints: [{ lb_endpoints: named }] }
}
