/**
 * What the console of a center asks: pages of its admin interface that only read, for tokens that read all namespaces.
 * Rules are written at the rules API itself.
 */
import { consolePage } from '../../agent/control/admin/console/files.ts'
import type { AdminReply, AdminRequest } from '../../agent/control/admin/http.ts'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'
import { apiKinds } from '../../agent/control/rules-api/api-kinds.ts'
import type { ApiReply, ApiRequest, ApiSection } from '../../agent/control/rules-api/api-section.ts'
import { may } from '../../agent/control/rules-api/api-user.ts'

const readable: ReadonlySet<string> = new Set([
  '/about',
  '/drills',
  '/events',
  '/explain',
  '/fallback',
  '/graph',
  '/hosts',
  '/identities',
  '/rules',
  '/server_info',
  '/services',
])

export class ConsoleApi implements ApiSection {
  readonly resources = []
  private readonly askAdmin: (request: AdminRequest) => Promise<AdminReply>

  constructor(askAdmin: (request: AdminRequest) => Promise<AdminReply>) {
    this.askAdmin = askAdmin
  }

  serves(path: string): boolean {
    return consolePage(path) !== undefined
  }

  /** Rejects with ApiError for every refusal. */
  async answer({ method, path, query, user }: ApiRequest): Promise<ApiReply> {
    if (!may(user, false, undefined))
      throw new ApiError(
        403,
        `${user.name}: the console shows all namespaces; it needs a token with the role read, write or admin and without namespaces`,
      )
    const page = consolePage(path)!
    if (!readable.has(page)) throw new ApiError(404, `${path}: the console has no such page`)
    if (method !== 'GET' && method !== 'HEAD') throw new ApiError(405, `${method} ${path}: not allowed`)
    const isOwner = user.role === 'admin'
    const reply = await this.askAdmin({ method: 'GET', path: page, query, body: undefined, isJson: true, isOwner })
    const body = JSON.parse(reply.body) as Record<string, unknown>
    if (reply.status !== 200) {
      const why = reply.status === 403 ? `${user.name}: ${page.slice(1)} needs a token with the role admin` : undefined
      throw new ApiError(reply.status, why ?? String(body['error']))
    }
    return { status: 200, body: page === '/about' ? withRules(body) : body }
  }
}

/** A center has hosts, and rules that can be written and rolled out. */
function withRules(about: Record<string, unknown>): object {
  const kinds = apiKinds.map(({ group, kind, plural, versions }) => ({ kind, group, version: versions[0], plural }))
  const pages = about['pages'] as readonly string[]
  const more = pages.flatMap((page) =>
    page === 'services' ? [page, 'hosts'] : page === 'rules' ? [page, 'rollouts'] : [page],
  )
  return { ...about, pages: more, kinds }
}
