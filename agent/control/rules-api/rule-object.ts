/** A resource as the store keeps it, and as the API shows it. */
import type { ObjectMeta } from '../../../contracts/object-meta.ts'
import type { RuleStatus } from '../../../contracts/rule-status.ts'
import type { RuleDocument } from '../core/rules/types.ts'
import { rulingAnnotations } from '../core/rules/policy-annotations.ts'

export interface RuleObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta & {
    readonly uid: string
    /** RFC 3339. */
    readonly creationTimestamp: string
    /** Grows with each change of `spec`. */
    readonly generation: number
  }
  readonly spec: unknown
}

/** Who made a version of a rule, and by what. */
export interface RuleChange {
  readonly user: string
  /** Address of the caller, or where it came in. */
  readonly from: string
  /** `create`, `replace`, `patch`, `apply`, `delete`, `revert`, `rollout`, `expire`. */
  readonly verb: string
  /** RFC 3339. */
  readonly at: string
  /** Revision of the version that it replaced; 0 = there was no such rule. */
  readonly replaces: number
}

/** The value of a key in the store. A version before this one may have no `change`. */
export interface KeptObject {
  readonly object: RuleObject
  /** RFC 3339, of the last change of `spec`. */
  readonly changedAt: string
  /** By field manager: the paths (JSON) that it decides about; see `apply.ts`. */
  readonly owners: Readonly<Record<string, readonly string[]>>
  readonly change?: RuleChange
}

/** What is left in the store of a rule that was deleted, so that its history says by whom. */
export interface DeletedObject {
  readonly deleted: { readonly kind: string; readonly namespace: string; readonly name: string }
  readonly change: RuleChange
}

export interface KnownObject extends KeptObject {
  readonly key: string
  readonly revision: number
}

export function keyOf(kind: string, namespace: string, name: string): string {
  return `rules/${kind}/${namespace}/${name}`
}

/** The document that rules are compiled from: it changes only when the rule does. */
export function documentOf({ object: { apiVersion, kind, metadata, spec } }: Pick<KeptObject, 'object'>): RuleDocument {
  const { name, namespace } = metadata
  const annotations = rulingAnnotations(metadata.annotations)
  return {
    name: documentName(kind, namespace, name),
    text: JSON.stringify({
      apiVersion,
      kind,
      metadata: { name, namespace, ...(annotations && { annotations }) },
      spec,
    }),
  }
}

export function documentName(kind: string, namespace: string, name: string): string {
  return `${kind} ${namespace}/${name}`
}

/** In the version of the path, with what the rule compiler says of it. */
export function shown(
  { object, changedAt, revision }: KnownObject,
  group: string,
  version: string,
  status: RuleStatus | undefined,
): object {
  return {
    ...object,
    apiVersion: `${group}/${version}`,
    // a dry run of a new one has none
    metadata: { ...object.metadata, ...(revision === 0 ? {} : { resourceVersion: String(revision) }) },
    status: {
      observedGeneration: object.metadata.generation,
      conditions: status === undefined ? [] : [condition(status, changedAt)],
    },
  }
}

const reasonsOf = { applied: 'Applied', conflict: 'Conflict', overridden: 'Overridden', rejected: 'Rejected' } as const

function condition({ state, problems, inForce }: RuleStatus, changedAt: string): object {
  return {
    type: 'Applied',
    status: state === 'applied' ? 'True' : 'False',
    reason: reasonsOf[state],
    message: [
      ...problems.map(({ path, message }) => `${path}: ${message}`),
      ...(state === 'rejected' && inForce ? ['its last good version stays in force'] : []),
    ].join('; '),
    lastTransitionTime: changedAt,
  }
}
