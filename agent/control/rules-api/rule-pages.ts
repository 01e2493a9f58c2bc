/** Pages of the admin interface about the rules that a node was told: `hostmesh rules history|revert` asks them. */
import { jsonReply, type AdminPage, type AdminReply } from '../admin/http.ts'
import { ApiError } from './api-error.ts'
import { apiKinds } from './api-kinds.ts'
import { askAsOwner } from './ask-as-owner.ts'
import type { RulesApi } from './rules-api.ts'

export function rulePages(api: Pick<RulesApi, 'answer'>): AdminPage[] {
  const ask = (method: string, rule: Record<string, unknown>, below: string, body: unknown): Promise<AdminReply> => {
    const path = pathOf(rule)
    return typeof path === 'string'
      ? askAsOwner(api, method, `${path}/${below}`, body)
      : Promise.resolve(jsonReply(path.body(), path.status))
  }
  return [
    {
      path: '/rules/history',
      method: 'GET',
      isOwnersOnly: true,
      help: '?kind=VirtualService&namespace=shop&name=orders: the versions of a rule that this node was told: who, when, what',
      answer: ({ query }) => ask('GET', Object.fromEntries(query), 'history', undefined),
    },
    {
      path: '/rules/revert',
      method: 'POST',
      help: '{"kind", "namespace", "name", "change": N} takes the newest change back; "to": N, "resourceVersion": brings a version back',
      answer: ({ body }) => {
        const { kind, namespace, name, ...order } = Object(body) as Record<string, unknown>
        return ask('POST', { kind, namespace, name }, 'revert', order)
      },
    },
  ]
}

function pathOf({ kind, namespace, name }: Record<string, unknown>): string | ApiError {
  const found = apiKinds.find((one) => one.kind === kind)
  if (found === undefined)
    return new ApiError(
      400,
      `kind: found ${JSON.stringify(kind)?.slice(0, 80)}, allowed ${apiKinds.map((one) => one.kind).join(', ')}`,
    )
  for (const [field, value] of Object.entries({ namespace, name }))
    if (typeof value !== 'string' || !/^[A-Za-z0-9._-]{1,253}$/.test(value))
      return new ApiError(400, `${field}: found ${JSON.stringify(value)?.slice(0, 80)}, allowed a name`)
  return `/apis/${found.group}/${found.versions[0]}/namespaces/${String(namespace)}/${found.plural}/${String(name)}`
}
