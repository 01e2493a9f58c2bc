/** A rule that is not written yet, looked at by everything that a write looks at. */
import { ApiError } from './api-error.ts'
import { apiKinds } from './api-kinds.ts'
import { readWritten } from './request-body.ts'
import type { ResourcePath } from './request-path.ts'
import type { KnownObject, RuleObject } from './rule-object.ts'
import type { ChangedBy, RuleWrites } from './rule-writes.ts'

export interface TriedRule {
  readonly path: ResourcePath
  readonly name: string
  /** As it would be. */
  readonly known: KnownObject
  /** As it is; undefined = there is none. */
  readonly before: KnownObject | undefined
}

/** `rule`: `spec.rule` of a request. Rejects with ApiError, 409 where the rule is like that already. */
export async function tryRule(
  writes: RuleWrites,
  rule: Record<string, unknown>,
  namespace: string,
  by: ChangedBy,
): Promise<TriedRule> {
  const path = pathOf(rule, namespace)
  const { name, fields } = readWritten(rule, path, namespace)
  if (name === undefined) throw new ApiError(422, 'spec.rule.metadata.name: missing')
  const { known, before, isChanged } = await writes.put({
    path,
    namespace,
    name,
    manager: by.verb,
    by,
    isDryRun: true,
    expected: undefined,
    want: () => ({ fields }),
  })
  if (!isChanged) throw new ApiError(409, `${path.kind.plural} ${namespace}/${name}: the rule is like that already`)
  return { path, name, known, before }
}

/** Throws ApiError 422. */
export function pathOf(
  rule: Record<string, unknown> | Pick<RuleObject, 'apiVersion' | 'kind'>,
  namespace: string,
): ResourcePath {
  const { apiVersion, kind } = rule as { apiVersion?: unknown; kind?: unknown }
  const found = apiKinds.find(
    (one) => one.kind === kind && one.versions.some((version) => apiVersion === `${one.group}/${version}`),
  )
  if (found === undefined)
    throw new ApiError(
      422,
      `spec.rule: found ${String(apiVersion).slice(0, 80)} ${String(kind).slice(0, 80)}, allowed a kind of rule that this center keeps`,
    )
  return { kind: found, version: String(apiVersion).split('/')[1]!, namespace, name: undefined, below: undefined }
}
