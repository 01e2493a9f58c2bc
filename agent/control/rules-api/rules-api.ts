/**
 * The API of rules: what a request with a method, a path and a user is answered. Knows no socket; `api-answers.ts` has
 * them.
 */
import type { Clock } from '../../../contracts/clock.ts'
import type { RuleStatus } from '../../../contracts/rule-status.ts'
import { ApiError } from './api-error.ts'
import type { ApiReply, ApiRequest, ApiSection } from './api-section.ts'
import { apply } from './apply.ts'
import type { Catalog } from './catalog.ts'
import { discoveryDocument, namespaceDocument } from './discovery.ts'
import { openApiDocument, openApiRoot } from './openapi.ts'
import { mergePatch } from './patch.ts'
import { bodyTypes, readBody, readRevision, readWritten } from './request-body.ts'
import { planRevert, readRevert, readVersions, type RuleVersion } from './rule-history.ts'
import { readPath, servedInstead, type ResourcePath } from './request-path.ts'
import { documentName, keyOf, shown, type KnownObject } from './rule-object.ts'
import { fieldsOf, notFound, type ChangedBy, type RuleWrites, type Wanted } from './rule-writes.ts'
import { readSelectors } from './selectors.ts'
import type { Store } from '../store/store.ts'
import { may } from './api-user.ts'

export interface RulesApiDeps {
  readonly catalog: Catalog
  readonly store: Store
  readonly writes: RuleWrites
  readonly clock: Clock
  readonly random: () => number
  readonly version: string
  /** Of the compiler, by the name of the document. */
  readonly status: (document: string) => RuleStatus | undefined
  /** Answered by other parts. */
  readonly sections: readonly ApiSection[]
}

/** A watch ends after some of this time, ms, so that readers spread over centers again. */
const watchMs = 30 * 60_000
const historyLimit = 50
/** A store that is being read is waited for so long, ms. */
const firstReadMs = 5000

export class RulesApi {
  private readonly deps: RulesApiDeps
  private readonly documents = new Map<string, object>()

  constructor(deps: RulesApiDeps) {
    this.deps = deps
  }

  /** Rejects with ApiError for every refusal. */
  async answer(request: ApiRequest): Promise<ApiReply> {
    const section = this.deps.sections.find((one) => one.serves(request.path))
    if (section !== undefined) return section.answer(request)
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const document = isRead ? this.document(request.path) : undefined
    if (document !== undefined) return { status: 200, body: document }
    const namespaces = isRead ? this.namespaces(request) : undefined
    if (namespaces !== undefined) return { status: 200, body: namespaces }
    const path = readPath(request.path)
    if (path === undefined)
      throw new ApiError(404, `${request.path.slice(0, 500)}: nothing is served here; ${servedInstead(request.path)}`)
    this.admit(request, path, !isRead)
    if (path.below !== undefined && request.method !== 'GET' && request.method !== 'POST')
      throw new ApiError(405, `${request.method} ${request.path}: not allowed`)
    if (!(await this.isRead()))
      throw new ApiError(503, `the store has not been read yet: ${this.deps.store.problem() ?? 'it is being read'}`)
    switch (`${isRead ? 'GET' : request.method}${path.name === undefined ? ' all' : ''}`) {
      case 'GET all':
        return this.list(request, path)
      case 'GET':
        if (path.below === 'revert') throw new ApiError(405, 'a revert is a POST')
        return path.below === 'history' ? this.history(path) : { status: 200, body: this.show(this.found(path), path) }
      case 'POST all':
        return this.create(request, path)
      case 'POST':
        if (path.below !== 'revert') break
        return this.revert(request, path)
      case 'PUT':
        return this.replace(request, path)
      case 'PATCH':
        return this.patch(request, path)
      case 'DELETE':
        return this.remove(request, path)
    }
    throw new ApiError(405, `${request.method} ${request.path}: not allowed`)
  }

  private document(path: string): object | undefined {
    const { version } = this.deps
    if (path === '/openapi/v3') return openApiRoot()
    const match = /^\/openapi(?:\.json|\/v3\/apis\/([^/]+)\/([^/]+))$/.exec(path)
    if (match === null) return discoveryDocument(path, version, this.deps.sections)
    const [, group, groupVersion] = match
    if (group === undefined) return this.kept(path, () => openApiDocument(undefined, version))
    return this.kept(path, () => openApiDocument({ group, version: groupVersion! }, version))
  }

  /** Made once, when somebody asks; what does not exist is not kept. */
  private kept(path: string, make: () => object | undefined): object | undefined {
    const made = this.documents.get(path) ?? make()
    if (made !== undefined) this.documents.set(path, made)
    return made
  }

  /** One by its name, or those that hold rules which the caller may see. */
  private namespaces({ path, user }: ApiRequest): object | undefined {
    const one = /^\/api\/v1\/namespaces\/([A-Za-z0-9._-]{1,253})$/.exec(path)
    if (one !== null) return namespaceDocument(one[1]!)
    if (path !== '/api/v1/namespaces') return undefined
    const { catalog } = this.deps
    const names = new Set(catalog.all().map(({ object }) => object.metadata.namespace))
    const items = [...names].toSorted().flatMap((name) => (may(user, false, name) ? [namespaceDocument(name)] : []))
    const metadata = { resourceVersion: String(catalog.revision) }
    return { kind: 'NamespaceList', apiVersion: 'v1', metadata, items }
  }

  /** A center that just began is asked a moment too early; one whose store is away says so at once. */
  private async isRead(): Promise<boolean> {
    const { catalog, clock, store } = this.deps
    if (catalog.revision < 0 && store.problem() === undefined) {
      const { cancel, done } = catalog.heard(0)
      const stop = clock.after(firstReadMs, cancel)
      await done
      stop()
    }
    return catalog.revision >= 0
  }

  private admit({ user, method, path }: ApiRequest, { namespace }: ResourcePath, isChange: boolean): void {
    if (may(user, isChange, namespace)) return
    const where = namespace === undefined ? 'in all namespaces' : `in namespace ${namespace}`
    const allowed = user.namespaces === undefined ? '' : `, namespaces ${user.namespaces.join(', ')}`
    throw new ApiError(
      403,
      `${user.name}: ${method} ${path} ${where} is not allowed; the token has the role ${user.role}${allowed}`,
    )
  }

  private list({ query }: ApiRequest, path: ResourcePath): ApiReply {
    const selector = readSelectors(query)
    const isMeant = ({ object }: KnownObject): boolean =>
      object.kind === path.kind.kind && (path.namespace === undefined || object.metadata.namespace === path.namespace)
    const { catalog } = this.deps
    const { group, kind } = path.kind
    const apiVersion = `${group}/${path.version}`
    if (isOn(query.get('watch'))) {
      const marksStart = isOn(query.get('sendInitialEvents'))
      const since = readRevision(query.get('resourceVersion'))
      const seconds = Number(query.get('timeoutSeconds') ?? 0)
      return {
        watch: {
          since: marksStart || since === 0 ? undefined : since,
          marksStart,
          wantsBookmarks: isOn(query.get('allowWatchBookmarks')),
          timeoutMs: seconds > 0 ? Math.min(seconds * 1000, watchMs) : watchMs * (0.5 + this.deps.random() / 2),
          isMeant,
          selector,
          show: (known) => this.show(known, path),
          bookmark: (revision, isStart) => ({
            kind,
            apiVersion,
            metadata: {
              resourceVersion: String(revision),
              ...(isStart ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
            },
          }),
        },
      }
    }
    const items = catalog
      .all()
      .filter((known) => isMeant(known) && selector(known.object))
      .map((known) => this.show(known, path))
    const metadata = { resourceVersion: String(catalog.revision) }
    return { status: 200, body: { kind: `${kind}List`, apiVersion, metadata, items } }
  }

  private async history(path: ResourcePath): Promise<ApiReply> {
    const items = (await this.versions(path)).map(({ revision, change, object }) => ({
      resourceVersion: String(revision),
      at: change?.at ?? null,
      user: change?.user ?? null,
      from: change?.from ?? null,
      verb: change?.verb ?? null,
      replaces: change === undefined ? null : String(change.replaces),
      object: object ?? null,
    }))
    return { status: 200, body: { kind: 'History', apiVersion: `${path.kind.group}/${path.version}`, items } }
  }

  /** At least one. */
  private async versions(path: ResourcePath): Promise<RuleVersion[]> {
    const key = keyOf(path.kind.kind, path.namespace!, path.name!)
    const versions = await this.deps.store.history(key, historyLimit).catch((error: Error) => {
      throw new ApiError(503, error.message)
    })
    if (versions.length === 0) throw notFound(path, path.name!)
    return readVersions(versions)
  }

  private async revert(request: ApiRequest, path: ResourcePath): Promise<ApiReply> {
    const order = readRevert(readBody(request.body, request.contentType, [bodyTypes.json, bodyTypes.yaml]))
    const { newest, object } = planRevert(await this.versions(path), order)
    const expected = newest.object === undefined ? 0 : newest.revision
    if (object !== undefined)
      return this.put(request, path, path.name!, 'revert', expected, () => ({ fields: fieldsOf(object) }))
    if (newest.object === undefined) throw new ApiError(409, 'the rule is not there, as before that change')
    return this.delete(request, path, { expected, verb: 'revert' })
  }

  private async create(request: ApiRequest, path: ResourcePath): Promise<ApiReply> {
    if (path.namespace === undefined) throw new ApiError(405, 'a rule is created in a namespace: /namespaces/NAME/…')
    const { name, revision, fields } = this.written(request, path, [bodyTypes.json, bodyTypes.yaml])
    if (name === undefined) throw new ApiError(422, 'metadata.name: missing')
    if (revision !== undefined) throw new ApiError(400, 'metadata.resourceVersion: not allowed for a new object')
    const want = (present: KnownObject | undefined): Wanted => {
      if (present === undefined) return { fields }
      const details = { name, group: path.kind.group, kind: path.kind.plural }
      const message = `${path.kind.plural}.${path.kind.group} "${name}" already exists`
      throw new ApiError(409, message, details, 'AlreadyExists')
    }
    return this.put(request, path, name, 'create', undefined, want)
  }

  private async replace(request: ApiRequest, path: ResourcePath): Promise<ApiReply> {
    const { revision, uid, fields } = this.written(request, path, [bodyTypes.json, bodyTypes.yaml])
    return this.put(request, path, path.name!, 'replace', revision, (present) => {
      if (present === undefined || (uid !== undefined && uid !== present.object.metadata.uid))
        throw notFound(path, path.name!)
      return { fields }
    })
  }

  private async patch(request: ApiRequest, path: ResourcePath): Promise<ApiReply> {
    const patch = readBody(request.body, request.contentType, [bodyTypes.merge, bodyTypes.apply])
    const { revision } = readWritten({ metadata: patch['metadata'] ?? {} }, path, path.namespace!)
    if (request.contentType.startsWith(bodyTypes.apply)) return this.apply(request, path, patch, revision)
    return this.put(request, path, path.name!, 'patch', revision, (present) => {
      if (present === undefined) throw notFound(path, path.name!)
      const { apiVersion, kind } = this.show(present, path) as Record<string, unknown>
      const merged = mergePatch(
        { apiVersion, kind, metadata: present.object.metadata, spec: present.object.spec },
        patch,
      )
      return { fields: readWritten(merged as Record<string, unknown>, path, path.namespace!).fields }
    })
  }

  private async apply(
    request: ApiRequest,
    path: ResourcePath,
    body: Record<string, unknown>,
    revision: number | undefined,
  ): Promise<ApiReply> {
    const manager = request.query.get('fieldManager')
    if (manager === null || manager === '') throw new ApiError(400, 'fieldManager: missing; an apply needs it')
    const { fields } = readWritten(body, path, path.namespace!)
    const isForced = isOn(request.query.get('force'))
    return this.put(request, path, path.name!, 'apply', revision, (present) => {
      const now = present === undefined ? {} : fieldsOf(present.object)
      const applied = apply(now, present?.owners ?? {}, manager, fields, isForced)
      if (applied.conflicts.length === 0) return applied
      const causes = applied.conflicts.map(({ manager: other, path: field }) => ({
        field: `.${field}`,
        message: `conflict with "${other}"`,
      }))
      const words = causes.map(({ field, message }) => `${message}: ${field}`).join('; ')
      throw new ApiError(409, `Apply failed with ${causes.length} conflict(s): ${words}`, { causes })
    })
  }

  private async remove(request: ApiRequest, path: ResourcePath): Promise<ApiReply> {
    const options =
      request.body === '' ? {} : readBody(request.body, request.contentType, [bodyTypes.json, bodyTypes.yaml])
    const { uid, resourceVersion } = Object(options['preconditions']) as Record<string, unknown>
    return this.delete(request, path, {
      verb: 'delete',
      inBody: options['dryRun'],
      expected: readRevision(resourceVersion),
      uid: typeof uid === 'string' ? uid : undefined,
    })
  }

  private async delete(
    request: ApiRequest,
    path: ResourcePath,
    order: { verb: string; expected: number | undefined; uid?: string | undefined; inBody?: unknown },
  ): Promise<ApiReply> {
    const { verb, expected, uid, inBody } = order
    const isDryRun = this.isDryRun(request, inBody)
    const gone = await this.deps.writes.remove({
      path,
      namespace: path.namespace!,
      name: path.name!,
      by: changedBy(request, verb),
      isDryRun,
      expected,
      uid,
    })
    const { plural, group } = path.kind
    const details = { name: path.name, group, kind: plural, uid: gone.object.metadata.uid }
    return { status: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } }
  }

  private async put(
    request: ApiRequest,
    path: ResourcePath,
    name: string,
    verb: string,
    expected: number | undefined,
    want: (present: KnownObject | undefined) => Wanted,
  ): Promise<ApiReply> {
    const isDryRun = this.isDryRun(request, undefined)
    const manager = request.query.get('fieldManager') ?? request.userAgent.split('/')[0]!.slice(0, 128)
    const written = await this.deps.writes.put({
      path,
      namespace: path.namespace!,
      name,
      manager: manager || 'unknown',
      by: changedBy(request, verb),
      isDryRun,
      expected,
      want,
    })
    const status = this.deps.status(documentName(path.kind.kind, path.namespace!, name))
    const isToldAnyway = isDryRun || status === undefined
    return {
      status: written.before === undefined ? 201 : 200,
      body: this.show(written.known, path),
      warnings: isToldAnyway ? [] : status.problems.map((problem) => `${problem.path}: ${problem.message}`),
    }
  }

  private written(request: ApiRequest, path: ResourcePath, types: readonly string[]) {
    return readWritten(readBody(request.body, request.contentType, types), path, path.namespace!)
  }

  private isDryRun({ query }: ApiRequest, inBody: unknown): boolean {
    const said = [...query.getAll('dryRun'), ...(Array.isArray(inBody) ? (inBody as unknown[]) : [])]
    for (const one of said)
      if (one !== 'All') throw new ApiError(400, `dryRun: found ${JSON.stringify(one).slice(0, 80)}, allowed All`)
    return said.length > 0
  }

  private found(path: ResourcePath): KnownObject {
    const known = this.deps.catalog.get(keyOf(path.kind.kind, path.namespace!, path.name!))
    if (known === undefined) throw notFound(path, path.name!)
    return known
  }

  private show(known: KnownObject, { kind, version }: ResourcePath): object {
    const { namespace, name } = known.object.metadata
    return shown(known, kind.group, version, this.deps.status(documentName(kind.kind, namespace, name)))
  }
}

function changedBy({ user, from }: ApiRequest, verb: string): ChangedBy {
  return { user: user.name, from, verb }
}

function isOn(value: string | null): boolean {
  return value === 'true' || value === '1'
}
