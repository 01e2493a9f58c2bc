/** Changes of rules: checked as the compiler reads them, written by compare-and-set, with a line for the audit. */
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../../contracts/clock.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { ttlAnnotation } from '../../../contracts/rule-documents.ts'
import type { RuleProblem } from '../../../contracts/rule-status.ts'
import { keyPattern, maxValueBytes, type Store } from '../store/store.ts'
import { ApiError } from './api-error.ts'
import { ownersAfterWrite, type Fields, type Owners } from './apply.ts'
import type { Catalog } from './catalog.ts'
import { isMap } from './patch.ts'
import type { ResourcePath } from './request-path.ts'
import {
  keyOf,
  type DeletedObject,
  type KeptObject,
  type KnownObject,
  type RuleChange,
  type RuleObject,
} from './rule-object.ts'

export interface WriteDeps {
  readonly store: Store
  readonly catalog: Catalog
  readonly clock: Clock
  readonly uuid: () => string
  /** What the compiler has against a resource; empty = nothing. */
  readonly check: (object: RuleObject) => readonly RuleProblem[]
  /** A change was written, and heard of. */
  readonly onChange: (line: ChangeLine) => void
}

/** Of the audit. */
export interface ChangeLine {
  readonly user: string
  readonly from: string
  readonly verb: string
  /** `virtualservices.networking.istio.io shop/orders` */
  readonly resource: string
  /** 0 = it did not exist, or does not any more. */
  readonly oldRevision: number
  readonly newRevision: number
}

export type ChangedBy = Omit<RuleChange, 'at' | 'replaces'>

/** What a request makes of an object: its fields, and who decides about them (undefined: by what changed). */
export interface Wanted {
  readonly fields: Fields
  readonly owners?: Owners
}

export interface WriteOrder {
  readonly path: ResourcePath
  readonly namespace: string
  readonly name: string
  readonly manager: string
  readonly by: ChangedBy
  readonly isDryRun: boolean
  /** The caller knows this revision; undefined = whatever is there. */
  readonly expected: number | undefined
  /** Throws ApiError. */
  want(present: KnownObject | undefined): Wanted
}

export interface Written {
  readonly known: KnownObject
  readonly before: KnownObject | undefined
  readonly isChanged: boolean
}

/** Of the words about who made a change. */
const maxChangeBytes = 2048
/** Rules that one store holds. */
const maxRules = 20_000
/** Marks of deleted rules that one store holds; the history of those beyond does not say who deleted them. */
const maxDeleted = 1000
const maxTries = 8
/** A store that pushes late is not waited for longer, ms. */
const hearMs = 2000

export class RuleWrites {
  private readonly deps: WriteDeps

  constructor(deps: WriteDeps) {
    this.deps = deps
  }

  /** Rejects with ApiError. */
  async put(order: WriteOrder): Promise<Written> {
    const { path, namespace, name, isDryRun } = order
    const key = keyOf(path.kind.kind, namespace, name)
    if (!keyPattern.test(key))
      throw invalid(path, name, [
        { field: 'metadata.name', message: 'found no name, allowed letters, digits and . _ -' },
      ])
    for (let attempt = 1; ; attempt++) {
      const before = this.deps.catalog.get(key)
      this.expect(order, before)
      const kept = this.made(order, before)
      // who says the same again gives it its time again
      const isLasting = kept.object.metadata.annotations?.[ttlAnnotation] === undefined
      if (before !== undefined && isLasting && isDeepStrictEqual(kept, withoutPlace(before)))
        return { known: before, before, isChanged: false }
      if (isDryRun) return { known: { ...kept, key, revision: before?.revision ?? 0 }, before, isChanged: true }
      const value = { ...kept, change: this.change(order.by, before?.revision ?? 0) }
      const expected = before?.revision ?? this.deps.catalog.revisionBehind(key)
      try {
        const revision = await this.deps.store.write(key, JSON.stringify(value), expected)
        await this.hear(revision)
        this.told(order, before?.revision ?? 0, revision)
        return { known: { ...value, key, revision }, before, isChanged: true }
      } catch (error) {
        await this.again(error, order, attempt)
      }
    }
  }

  async remove(
    order: Omit<WriteOrder, 'want' | 'manager'> & { readonly uid: string | undefined },
  ): Promise<KnownObject> {
    const { path, namespace, name, isDryRun, uid } = order
    const key = keyOf(path.kind.kind, namespace, name)
    for (let attempt = 1; ; attempt++) {
      const before = this.deps.catalog.get(key)
      if (before === undefined) throw notFound(path, name)
      if (uid !== undefined && uid !== before.object.metadata.uid)
        throw conflict(path, name, `found uid ${before.object.metadata.uid}, the precondition says ${uid}`)
      this.expect(order, before)
      if (isDryRun) return before
      try {
        const mark: DeletedObject = {
          deleted: { kind: path.kind.kind, namespace, name },
          change: this.change(order.by, before.revision),
        }
        const revision = await this.deps.store.write(key, JSON.stringify(mark), before.revision)
        await this.hear(revision)
        await this.prune()
        this.told(order, before.revision, 0)
        return before
      } catch (error) {
        await this.again(error, order, attempt)
      }
    }
  }

  private told(
    { by, name, namespace, path: { kind } }: Pick<WriteOrder, 'by' | 'name' | 'namespace' | 'path'>,
    oldRevision: number,
    newRevision: number,
  ): void {
    const resource = `${kind.plural}.${kind.group} ${namespace}/${name}`
    this.deps.onChange({ ...by, resource, oldRevision, newRevision })
  }

  private change(by: ChangedBy, replaces: number): RuleChange {
    return { ...by, at: new Date(this.deps.clock.wall()).toISOString(), replaces }
  }

  /** Marks beyond the bound go for good; another center may have been faster, or the next deletion does it. */
  private async prune(): Promise<void> {
    for (const { key, revision } of this.deps.catalog.deletedBeyond(maxDeleted).slice(0, 10))
      await this.deps.store.write(key, undefined, revision).catch(() => undefined)
  }

  private expect({ path, name, expected }: Pick<WriteOrder, 'path' | 'name' | 'expected'>, before?: KnownObject): void {
    if (expected === undefined || expected === (before?.revision ?? 0)) return
    throw conflict(
      path,
      name,
      `resourceVersion: found ${before === undefined ? 'no such object' : before.revision}, the request says ${expected}; read it again`,
    )
  }

  private made(order: WriteOrder, before: KnownObject | undefined): KeptObject {
    const { path, namespace, name, manager } = order
    const { fields, owners } = order.want(before)
    if (before === undefined && this.deps.catalog.size >= maxRules)
      throw new ApiError(403, `${maxRules} rules are kept already, which is the bound`, {}, 'Forbidden')
    const now = new Date(this.deps.clock.wall()).toISOString().replace(/\.\d+Z$/, 'Z')
    const present = before === undefined ? {} : fieldsOf(before.object)
    const isSame = isDeepStrictEqual(present.spec, fields.spec)
    const object = {
      apiVersion: before?.object.apiVersion ?? `${path.kind.group}/${path.version}`,
      kind: path.kind.kind,
      metadata: {
        name,
        namespace,
        uid: before?.object.metadata.uid ?? this.deps.uuid(),
        creationTimestamp: before?.object.metadata.creationTimestamp ?? now,
        generation: (before?.object.metadata.generation ?? 0) + (isSame && before !== undefined ? 0 : 1),
        ...pickMap(fields.labels, 'labels'),
        ...pickMap(fields.annotations, 'annotations'),
      },
      spec: fields.spec ?? {},
    } as RuleObject
    const kept = {
      object,
      changedAt: isSame && before !== undefined ? before.changedAt : now,
      owners: owners ?? ownersAfterWrite(present, fields, before?.owners ?? {}, manager),
    }
    // what is added below is who changed it
    const bytes = Buffer.byteLength(JSON.stringify(kept)) + maxChangeBytes
    if (bytes > maxValueBytes)
      throw new ApiError(413, `${path.kind.plural} ${namespace}/${name}: ${bytes} bytes, allowed ${maxValueBytes}`)
    const problems = this.deps.check(object)
    if (problems.length > 0)
      throw invalid(
        path,
        name,
        problems.map((problem) => ({ field: problem.path, message: problem.message })),
      )
    return kept
  }

  /** Whoever reads after a write finds it. */
  private async hear(revision: number): Promise<void> {
    const { done, cancel } = this.deps.catalog.heard(revision)
    const stop = this.deps.clock.after(hearMs, cancel)
    await done
    stop()
  }

  /** Somebody else was faster: read what he wrote, and try again where the caller does not insist on a revision. */
  private async again(
    error: unknown,
    { path, name, expected }: Pick<WriteOrder, 'path' | 'name' | 'expected'>,
    attempt: number,
  ): Promise<void> {
    if (!(error instanceof MeshError)) throw error
    if (error.code !== 'E_STORE_CONFLICT')
      throw new ApiError(503, `${error.code}: ${error.message}; nothing else was changed`)
    if (expected !== undefined || attempt >= maxTries)
      throw conflict(path, name, `${error.message}; somebody else changed it meanwhile, read it again`)
    await this.hear(this.deps.catalog.revision + 1)
  }
}

export function fieldsOf({ metadata: { labels, annotations }, spec }: RuleObject): Fields {
  return { ...(labels && { labels }), ...(annotations && { annotations }), spec }
}

function withoutPlace({ object, changedAt, owners }: KnownObject): KeptObject {
  return { object, changedAt, owners }
}

function pickMap(value: unknown, name: string): object {
  return isMap(value) && Object.keys(value).length > 0 ? { [name]: value } : {}
}

export function notFound({ kind }: ResourcePath, name: string): ApiError {
  const { group, plural } = kind
  return new ApiError(404, `${plural}.${group} "${name}" not found`, { name, group, kind: plural })
}

function conflict({ kind: { group, plural } }: ResourcePath, name: string, message: string): ApiError {
  const details = { name, group, kind: plural }
  return new ApiError(409, `Operation cannot be fulfilled on ${plural}.${group} "${name}": ${message}`, details)
}

function invalid(
  { kind }: ResourcePath,
  name: string,
  causes: readonly { readonly field: string; readonly message: string }[],
): ApiError {
  const words = causes.map(({ field, message }) => `${field}: ${message}`)
  return new ApiError(422, `${kind.kind}.${kind.group} "${name}" is invalid: ${words.join('; ')}`, {
    name,
    group: kind.group,
    kind: kind.kind,
    causes,
  })
}
