/** The calls of the Kubernetes API that the adapter needs. */
import { MeshError } from '../../contracts/errors.ts'
import { jsonOf, OversizeAnswer } from '../http/http-client.ts'
import type { HttpAnswer, HttpClient } from '../http/http-client.ts'

export interface Listed {
  readonly resourceVersion: string
  readonly items: readonly unknown[]
}

export interface WatchWord {
  readonly type: string
  readonly object: unknown
}

const timeoutMs = 10_000
const pageSize = 500
/** A list that goes on for longer is none. */
const maxPages = 2000
/** Objects of one list that are wanted. */
const maxItems = 50_000

/** The cluster does not know objects of this kind. */
export class NoSuchCollection extends MeshError {}

export class KubernetesApi {
  private readonly http: HttpClient

  constructor(http: HttpClient) {
    this.http = http
  }

  /** Can this be asked, by us? A list of one is the cheapest question that also asks for our rights. */
  async ping(namespace: string): Promise<void> {
    const answer = await this.http.ask({ path: `${slicesOf(namespace)}?limit=1`, timeoutMs: 5000 })
    jsonOf(answer, 'the endpoint slices')
  }

  /**
   * The objects of the collection that are wanted, page by page, within bounds. Rejects with a `NoSuchCollection` where
   * the cluster does not know the kind.
   */
  async list(
    collection: string,
    labelSelector: string | undefined,
    signal?: AbortSignal,
    isWanted: (item: unknown) => boolean = () => true,
  ): Promise<Listed> {
    const items: unknown[] = []
    let from = ''
    let limit = pageSize
    for (let page = 0; page < maxPages; page++) {
      const query = new URLSearchParams({ limit: String(limit) })
      if (labelSelector !== undefined) query.set('labelSelector', labelSelector)
      if (from !== '') query.set('continue', from)
      const path = `${collection}?${query.toString()}`
      let answer: HttpAnswer
      try {
        answer = await this.http.ask({ path, timeoutMs, ...(signal && { signal }) })
      } catch (error) {
        if (!(error instanceof OversizeAnswer) || limit === 1) throw error
        // one slice always fits
        limit = Math.max(1, Math.floor(limit / 8))
        continue
      }
      if (answer.status === 404)
        throw new NoSuchCollection('E_REGISTRY_PROTOCOL', `${collection}: the cluster has none`)
      const json = jsonOf(answer, collection) as {
        readonly metadata?: { readonly resourceVersion?: unknown; readonly continue?: unknown }
        readonly items?: unknown
      } | null
      const version = json?.metadata?.resourceVersion
      if (typeof version !== 'string' || !Array.isArray(json?.items))
        throw new MeshError('E_REGISTRY_PROTOCOL', `${collection}: the answer is no list`)
      for (const item of json.items as unknown[]) if (isWanted(item)) items.push(item)
      if (items.length > maxItems) break
      from = typeof json.metadata?.continue === 'string' ? json.metadata.continue : ''
      if (from === '') return { resourceVersion: version, items }
    }
    throw new MeshError(
      'E_REGISTRY_PROTOCOL',
      `${collection}: over ${maxPages} pages or ${maxItems} objects are not read`,
    )
  }

  /**
   * Changes from `resourceVersion` on, until the server ends it. Rejects with E_REGISTRY_STALE when it must be listed
   * anew (410).
   */
  async watch(
    collection: string,
    resourceVersion: string,
    lastMs: number,
    signal: AbortSignal,
    onWord: (word: WatchWord) => void,
  ): Promise<void> {
    const query = new URLSearchParams({
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(Math.max(1, Math.round(lastMs / 1000))),
    })
    let failure: MeshError | undefined
    const status = await this.http.stream(
      { path: `${collection}?${query.toString()}`, signal },
      // the server ends the watch; a server that does not is gone
      lastMs + timeoutMs,
      (line) => {
        if (failure !== undefined) return
        const word = readWord(line)
        if (word === undefined) failure = new MeshError('E_REGISTRY_PROTOCOL', 'the watch: a line that makes no sense')
        else if (word.type === 'ERROR' || word.type === undefined) failure = expired(word.object)
        else onWord(word)
      },
    )
    if (failure !== undefined) throw failure
    if (status !== 200)
      throw status === 410
        ? expired({ code: 410 })
        : new MeshError('E_REGISTRY_PROTOCOL', `the watch: answered ${status}`)
  }

  async read(path: string, signal?: AbortSignal): Promise<unknown> {
    const answer = await this.http.ask({ path, timeoutMs, ...(signal && { signal }) })
    return answer.status === 404 ? undefined : jsonOf(answer, path)
  }

  /**
   * Makes an object that is not there; answers it. undefined: there is one of that name, which is left as it is.
   * @param path of the object
   */
  async create(path: string, object: object, signal?: AbortSignal): Promise<unknown> {
    const answer = await this.http.ask({
      method: 'POST',
      path: `${path.slice(0, path.lastIndexOf('/'))}?fieldManager=hostmesh`,
      body: object,
      timeoutMs,
      ...(signal && { signal }),
    })
    return answer.status === 409 ? undefined : jsonOf(answer, path)
  }

  /**
   * Server-side apply: makes our fields so, whoever else has others. With `metadata.resourceVersion` only in this state
   * of the object: false = there is another one.
   */
  async apply(path: string, object: object, signal?: AbortSignal): Promise<boolean> {
    const answer = await this.http.ask({
      method: 'PATCH',
      path: `${path}?fieldManager=hostmesh&force=true`,
      contentType: 'application/apply-patch+yaml',
      body: JSON.stringify(object),
      timeoutMs,
      ...(signal && { signal }),
    })
    if (answer.status === 409) return false
    good(answer, path)
    return true
  }

  /**
   * Only this state of it: false = there is a newer one, which is left alone. None being there is success.
   */
  async remove(path: string, resourceVersion: string, signal?: AbortSignal): Promise<boolean> {
    const answer = await this.http.ask({
      method: 'DELETE',
      path,
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { resourceVersion } },
      timeoutMs,
      ...(signal && { signal }),
    })
    if (answer.status === 409) return false
    if (answer.status !== 404) good(answer, path)
    return true
  }

  async serviceNames(namespace: string, limit: number, signal: AbortSignal): Promise<string[]> {
    const path = `/api/v1/namespaces/${namespace}/services?limit=${Math.min(limit, 5000)}`
    const json = (await this.read(path, signal)) as { items?: unknown } | null | undefined
    const items = Array.isArray(json?.items) ? (json.items as ({ metadata?: { name?: unknown } | null } | null)[]) : []
    return items.flatMap((item) => (typeof item?.metadata?.name === 'string' ? [item.metadata.name] : []))
  }
}

export function slicesOf(namespace: string): string {
  return `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`
}

function readWord(line: string): WatchWord | undefined {
  try {
    const json = JSON.parse(line) as WatchWord | null
    return typeof json?.type === 'string' || (json as { kind?: unknown } | null)?.kind === 'Status'
      ? { type: json?.type ?? 'ERROR', object: json?.object ?? json }
      : undefined
  } catch {
    return undefined
  }
}

function expired(object: unknown): MeshError {
  const { code, message } = (object ?? {}) as { code?: unknown; message?: unknown }
  const words = `the watch: ${typeof message === 'string' ? message.slice(0, 200) : `error ${String(code)}`}`
  if (code === 410) return new MeshError('E_REGISTRY_STALE', words)
  return new MeshError(code === 401 || code === 403 ? 'E_REGISTRY_DENIED' : 'E_REGISTRY_PROTOCOL', words)
}

function good(answer: HttpAnswer, path: string): void {
  if (answer.status < 200 || answer.status > 299)
    throw new MeshError('E_REGISTRY_PROTOCOL', `${path}: answered ${answer.status}: ${answer.text.slice(0, 200)}`)
}
