/**
 * Roll-outs at the API of a center:
 *
 *     POST   /apis/hostmesh.io/v1/namespaces/NS/rollouts        begins one
 *     GET    /apis/hostmesh.io/v1[/namespaces/NS]/rollouts      all of them
 *     GET    /apis/hostmesh.io/v1/namespaces/NS/rollouts/NAME   one, NAME = `virtualservice.orders`
 *     DELETE …/NAME                                             takes a running one back, forgets one that is over
 */
import type { ApiReply, ApiRequest, ApiSection } from '../../agent/control/rules-api/api-section.ts'
import { bodyTypes, readBody } from '../../agent/control/rules-api/request-body.ts'
import { NamespacedKind, notAllowed, ourApiVersion } from '../namespaced-kind.ts'
import type { RolloutFigures } from './observer.ts'
import { p99, type Signals } from './signals.ts'
import { readRolloutOrder, type RolloutOrder } from './rollout-order.ts'
import { rolloutName, type KnownRollout } from './rollout.ts'

export interface RolloutsApiDeps {
  all(): readonly KnownRollout[]
  /** undefined = nothing was counted here. */
  figures(rollout: KnownRollout): RolloutFigures | undefined
  /** Rejects with ApiError. */
  start(order: RolloutOrder, namespace: string, request: ApiRequest): Promise<KnownRollout>
  /** Rejects with ApiError. */
  stop(rollout: KnownRollout, request: ApiRequest): Promise<void>
}

const rolloutKind = new NamespacedKind('Rollout', 'rollouts', 'rollout', /[A-Za-z0-9._-]{1,300}/)

export class RolloutsApi implements ApiSection {
  readonly resources = [rolloutKind.resource]
  private readonly deps: RolloutsApiDeps

  constructor(deps: RolloutsApiDeps) {
    this.deps = deps
  }

  serves(path: string): boolean {
    return rolloutKind.serves(path)
  }

  /** Rejects with ApiError for every refusal. */
  async answer(request: ApiRequest): Promise<ApiReply> {
    const asked = rolloutKind.read(request)
    const { namespace } = asked
    if (asked.verb === 'create') {
      const order = readRolloutOrder(readBody(request.body, request.contentType, [bodyTypes.json, bodyTypes.yaml]))
      return { status: 201, body: this.shown(await this.deps.start(order, asked.namespace, request)) }
    }
    const meant = this.deps
      .all()
      .filter(({ object }) => namespace === undefined || object.metadata.namespace === namespace)
    if (asked.verb === 'list') return rolloutKind.list(meant.map((rollout) => this.shown(rollout)))
    // in two namespaces it may be another one
    if (namespace === undefined) throw notAllowed(request)
    const found = meant.find((rollout) => rolloutName(rollout) === asked.name)
    if (found === undefined) throw rolloutKind.notFound(asked.name)
    if (asked.verb === 'get') return { status: 200, body: this.shown(found) }
    await this.deps.stop(found, request)
    return { status: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' } }
  }

  private shown(rollout: KnownRollout): object {
    const { object, share, observeMs, limits, user, from, startedAt, endedAt, state, reason, hosts, base } = rollout
    const figures = this.deps.figures(rollout)
    return {
      apiVersion: ourApiVersion,
      kind: 'Rollout',
      metadata: {
        name: rolloutName(rollout),
        namespace: object.metadata.namespace,
        creationTimestamp: new Date(startedAt).toISOString(),
        resourceVersion: String(rollout.revision),
      },
      spec: { rule: object, hosts: share, observe: `${observeMs}ms`, limits },
      status: {
        state,
        reason,
        base: String(base),
        hosts,
        user,
        from,
        ...(endedAt === 0 ? {} : { endedAt: new Date(endedAt).toISOString() }),
        ...(figures === undefined ? {} : { share: shownSignals(figures.share), rest: shownSignals(figures.rest) }),
      },
    }
  }
}

function shownSignals(signals: Signals): object {
  const { hosts, requests, failures } = signals
  const slow = p99(signals)
  return { hosts, requests, failures, p99Ms: Number.isFinite(slow) ? slow : -1 }
}
