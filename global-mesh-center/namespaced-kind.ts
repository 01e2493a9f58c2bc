/**
 * A kind of `hostmesh.io/v1` whose objects lie in namespaces, at the API of a center:
 *
 *     POST   /apis/hostmesh.io/v1/namespaces/NS/NAMES         creates
 *     GET    /apis/hostmesh.io/v1[/namespaces/NS]/NAMES       lists
 *     GET    /apis/hostmesh.io/v1[/namespaces/NS]/NAMES/NAME  gets
 *     DELETE …/NAME                                           deletes
 */
import { ApiError } from '../agent/control/rules-api/api-error.ts'
import type { ApiReply, ApiRequest, ApiResource } from '../agent/control/rules-api/api-section.ts'
import { may } from '../agent/control/rules-api/api-user.ts'

export const ourGroup = { group: 'hostmesh.io', version: 'v1' } as const
export const ourApiVersion = `${ourGroup.group}/${ourGroup.version}`

export type KindRequest =
  | { readonly verb: 'list'; readonly namespace: string | undefined }
  | { readonly verb: 'create'; readonly namespace: string }
  | { readonly verb: 'get' | 'delete'; readonly namespace: string | undefined; readonly name: string }

export class NamespacedKind {
  readonly resource: ApiResource
  private readonly path: RegExp

  /** `names` and `singularName` as in paths; `name`: what an object may be called. */
  constructor(kind: string, names: string, singularName: string, name: RegExp) {
    this.resource = {
      ...ourGroup,
      name: names,
      singularName,
      shortNames: [],
      namespaced: true,
      kind,
      verbs: ['create', 'get', 'list', 'delete'],
    }
    this.path = new RegExp(
      `^/apis/hostmesh\\.io/v1(?:/namespaces/([A-Za-z0-9._-]{1,253}))?/${names}(?:/(${name.source}))?$`,
    )
  }

  serves(path: string): boolean {
    return this.path.test(path)
  }

  /** Of a path that it serves. Throws ApiError: 403 for what the caller may not, 405 for what nobody may. */
  read(request: ApiRequest): KindRequest {
    const { method, path, user } = request
    const [, namespace, name] = this.path.exec(path)!
    const isRead = method === 'GET' || method === 'HEAD'
    if (!may(user, !isRead, namespace))
      throw new ApiError(403, `${user.name}: ${method} ${path} is not allowed; the token has the role ${user.role}`)
    if (name !== undefined && (isRead || method === 'DELETE'))
      return { verb: isRead ? 'get' : 'delete', namespace, name }
    if (name === undefined && isRead) return { verb: 'list', namespace }
    if (name === undefined && method === 'POST' && namespace !== undefined) return { verb: 'create', namespace }
    throw notAllowed(request)
  }

  list(items: readonly object[]): ApiReply {
    return {
      status: 200,
      body: { kind: `${this.resource.kind}List`, apiVersion: ourApiVersion, metadata: {}, items },
    }
  }

  notFound(name: string): ApiError {
    const kind = this.resource.name
    return new ApiError(404, `${kind} "${name}" not found`, { name, kind })
  }
}

export function notAllowed({ method, path }: ApiRequest): ApiError {
  return new ApiError(405, `${method} ${path}: not allowed`)
}
