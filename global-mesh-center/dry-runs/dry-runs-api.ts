/**
 * Dry runs at the API of a center:
 *
 *     POST   /apis/hostmesh.io/v1/namespaces/NS/dryruns      begins one
 *     GET    /apis/hostmesh.io/v1[/namespaces/NS]/dryruns    the newest ones of this center
 *     GET    /apis/hostmesh.io/v1/namespaces/NS/dryruns/ID   one
 *     DELETE …/ID                                            ends it; what it found stays to be read
 */
import type { ApiReply, ApiRequest, ApiSection } from '../../agent/control/rules-api/api-section.ts'
import { bodyTypes, readBody } from '../../agent/control/rules-api/request-body.ts'
import { NamespacedKind, ourApiVersion } from '../namespaced-kind.ts'
import type { DryRun } from './dry-run.ts'
import { readDryRunOrder, type DryRunRequest } from './dry-run-order.ts'

export interface DryRunsApiDeps {
  /** The newest first. */
  all(): readonly DryRun[]
  /** Rejects with ApiError. */
  start(order: DryRunRequest, namespace: string, by: { user: string; from: string }): Promise<DryRun>
  stop(dryRun: DryRun): void
}

const dryRunKind = new NamespacedKind('DryRun', 'dryruns', 'dryrun', /[A-Za-z0-9-]{1,64}/)

export class DryRunsApi implements ApiSection {
  readonly resources = [dryRunKind.resource]
  private readonly deps: DryRunsApiDeps

  constructor(deps: DryRunsApiDeps) {
    this.deps = deps
  }

  serves(path: string): boolean {
    return dryRunKind.serves(path)
  }

  /** Rejects with ApiError for every refusal. */
  async answer(request: ApiRequest): Promise<ApiReply> {
    const asked = dryRunKind.read(request)
    if (asked.verb === 'create') {
      const { body, contentType, from, user } = request
      const order = readDryRunOrder(readBody(body, contentType, [bodyTypes.json, bodyTypes.yaml]))
      return { status: 201, body: shown(await this.deps.start(order, asked.namespace, { user: user.name, from })) }
    }
    const { namespace } = asked
    const meant = this.deps.all().filter(({ facts }) => namespace === undefined || facts.namespace === namespace)
    if (asked.verb === 'list') return dryRunKind.list(meant.map(shown))
    const found = meant.find(({ facts }) => facts.id === asked.name)
    if (found === undefined) throw dryRunKind.notFound(asked.name)
    if (asked.verb === 'delete') this.deps.stop(found)
    return { status: 200, body: shown(found) }
  }
}

function shown(dryRun: DryRun): object {
  const { id, namespace } = dryRun.facts
  const status = dryRun.view()
  const metadata = { name: id, namespace, creationTimestamp: new Date(status.startedAt).toISOString() }
  return { apiVersion: ourApiVersion, kind: 'DryRun', metadata, status }
}
